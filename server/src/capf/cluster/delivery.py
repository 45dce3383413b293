# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishes the first node's files to the subscribers, with the administrator's own credentials (R3, R17).

The server stores no password: it uses the one of the current request, in memory only.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capf.model import CapfError, ConflictError, words_of
from capf.phone_files import folder
from capf.registry.nodes import ClusterNode

_SECONDS = 10
_BATCH_BYTES = 4_000_000
_BATCH_FILES = 5_000
_OK, _UNAUTHORIZED, _TOO_MANY = 200, 401, 429
_DISTRUST = {10: "it has expired", 62: "it is for another name", 64: "it is for another address"}
"""By OpenSSL's number of the fault (X509_V_ERR_...)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The administrator's name and password, the same on all nodes."""

    administrator: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a node received: the names of the files that were sent, how many it already had, and its problem, if any."""

    node: str
    sent: list[str] = field(default_factory=list)
    unchanged: int = 0
    problem: str = ""


class UnreachableError(CapfError):
    """The node does not answer as expected; a later retry may succeed."""


class RefusedError(CapfError):
    """The node has a different administrator name or password, or is not a subscriber."""


class _Line:
    """One connection to a node's administration."""

    def __init__(self, node: ClusterNode, credentials: Credentials) -> None:
        try:
            trust = ssl.create_default_context(cadata=node.administration_certificate)
        except (ssl.SSLError, ValueError):
            raise UnreachableError("its certificate in the database cannot be read; set it again") from None
        token = base64.b64encode(f"{credentials.administrator}:{credentials.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPSConnection(
            node.administration_address, node.administration_port, timeout=_SECONDS, context=trust
        )

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return the answer to a request; RefusedError or UnreachableError if the node does not answer."""
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, f"/api/v1{path}", data, self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
            decoded = json.loads(text)
        except ssl.SSLCertVerificationError as error:
            why = _DISTRUST.get(error.verify_code, "it is not the certificate that is stored for this node")
            raise UnreachableError(f"its certificate is not trusted: {why}; set it again with ucm.capf.nodes") from None
        except TimeoutError:
            raise UnreachableError(f"it cannot be reached: it does not answer within {_SECONDS} seconds") from None
        except OSError as error:
            raise UnreachableError(f"it cannot be reached: {_why_unreachable(error)}") from None
        except (http.client.HTTPException, ValueError):
            raise UnreachableError("it cannot be reached: the program on that port is not a CAPF server") from None
        if answer.status in (_UNAUTHORIZED, _TOO_MANY):
            raise RefusedError("it has a different administrator name or password")
        if answer.status != _OK or not isinstance(decoded, dict):
            raise UnreachableError(f"it answers with HTTP status {answer.status}: {_message(decoded)}")
        return decoded

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _why_unreachable(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the program on that port does not speak TLS as this server expects"
    return words_of(error)


def _message(decoded: object) -> str:
    return str(decoded["error"]["message"]) if isinstance(decoded, dict) and "error" in decoded else ""


async def ask(nodes: Sequence[ClusterNode], credentials: Credentials) -> dict[str, CapfError | None]:
    """Return for every subscriber why it does not accept these credentials, None if it does."""
    found = await asyncio.gather(*(asyncio.to_thread(_check, node, credentials) for node in nodes))
    return {node.name: error for node, error in zip(nodes, found, strict=True)}


async def check(nodes: Sequence[ClusterNode], credentials: Credentials) -> dict[str, str]:
    """Check these credentials on every subscriber; return the problem of each, empty if it accepts them.

    ConflictError names every node that refuses them, before anything is changed anywhere (R17).
    """
    found = await ask(nodes, credentials)
    problems = {name: str(error or "") for name, error in found.items()}
    refusing = [name for name, error in found.items() if isinstance(error, RefusedError)]
    if refusing:
        named = "; ".join(f"{name}: {problems[name]}" for name in refusing)
        raise ConflictError(f"nothing was changed, because of these nodes: {named}")
    return problems


def _check(node: ClusterNode, credentials: Credentials) -> CapfError | None:
    try:
        line = _Line(node, credentials)
    except UnreachableError as error:
        return error
    try:
        if line.ask("GET", "/service")["first_node"]:
            return RefusedError("it is a first node itself")
    except (RefusedError, UnreachableError) as error:
        return error
    finally:
        line.close()
    return None


async def push(
    files: Mapping[str, bytes], nodes: Sequence[ClusterNode], credentials: Credentials, *, dry_run: bool = False
) -> list[Delivery]:
    """Bring every node's files up to date; name the nodes that cannot be reached, and update the others.

    ConflictError if a node refuses the credentials; then nothing has changed anywhere (R17).
    """
    problems = await check(nodes, credentials)
    digests = {name: folder.digest(data) for name, data in files.items()}

    def deliver(node: ClusterNode) -> Delivery:
        if problems[node.name]:
            return Delivery(node.name, problem=problems[node.name])
        return _deliver(node, credentials, files, digests, dry_run=dry_run)

    return list(await asyncio.gather(*(asyncio.to_thread(deliver, node) for node in nodes)))


def _deliver(
    node: ClusterNode,
    credentials: Credentials,
    files: Mapping[str, bytes],
    digests: Mapping[str, str],
    *,
    dry_run: bool,
) -> Delivery:
    """Send the files that the node does not have."""
    line, sent = _Line(node, credentials), list[str]()
    try:
        different = line.ask("POST", "/files/compare", {"digests": dict(digests)})["different"]
        unchanged = len(files) - len(different)
        for batch in [] if dry_run else _batches(different, files):
            content = {name: base64.b64encode(files[name]).decode() for name in batch}
            line.ask("PUT", "/files", {"files": content})
            sent += batch
    except (RefusedError, UnreachableError) as error:
        return Delivery(node.name, sent, problem=str(error))
    finally:
        line.close()
    return Delivery(node.name, different if dry_run else sent, unchanged)


def _batches(names: Sequence[str], files: Mapping[str, bytes]) -> Iterator[list[str]]:
    """Yield the names in groups whose requests have a few megabytes."""
    batch, size = list[str](), 0
    for name in names:
        if batch and (size + len(files[name]) > _BATCH_BYTES or len(batch) == _BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += len(files[name])
    if batch:
        yield batch
