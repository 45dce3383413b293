# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's nodes: their roles, and how the first node reaches them (R3, R13, R17)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection

from capf.certificates.ctl import Role
from capf.model import DamagedError, Fault, FurtherNodeError, InvalidRequestError, Problem, not_allowed
from capf.registry import moment
from capf.registry.changes import Change, Changes
from capf.registry.transaction import Transaction
from capf.store import node_rows
from capf.store.schema import NodeRow

DEFAULT_PORT = 8443
_MAXIMUM_PORT = 65535
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_HOST_ALLOWED = "a host name or an IP address"
_ROLES = {(True, True): Role.CCM_TFTP, (True, False): Role.CCM, (False, True): Role.TFTP}
_PEMS = ("administration_certificate", "certificate")


class ClusterNode(NodeRow):
    """One server of the cluster; phones reach it under ``name``. Certificates are PEM."""

    __slots__ = ()

    @property
    def role(self) -> Role | None:
        """The role for which phones trust the node, None if it runs neither call processing nor TFTP."""
        return _ROLES.get((self.call_processing, self.tftp))

    @property
    def identity(self) -> x509.Certificate:
        """The certificate that the CTL file lists: the node's own, or that of its administration; DamagedError where
        it cannot be read."""
        try:
            return x509.load_pem_x509_certificate((self.certificate or self.administration_certificate).encode())
        except ValueError:
            raise DamagedError(_damaged(self)) from None


@dataclass(frozen=True, slots=True)
class WantedNode:
    """A node of a request; what is None keeps its value, or has its default for a new node."""

    name: str
    call_processing: bool | None = None
    tftp: bool | None = None
    administration_address: str | None = None
    administration_port: int | None = None
    administration_certificate: str | None = None
    certificate: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The given settings by column; certificates without surrounding text."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: _plain(value) if name in _PEMS else value for name, value in found.items()}


def all_nodes(connection: Connection) -> list[ClusterNode]:
    """Return the cluster's nodes, the first one first."""
    return [ClusterNode._make(row) for row in node_rows.all_nodes(connection)]


def faults(tx: Transaction) -> list[Fault]:
    """Return the faults of the nodes' certificates."""
    kept = ((node, getattr(node, name)) for node in all_nodes(tx.connection) for name in _PEMS)
    return [_damaged(node) for node, pem in kept if pem is not None and not _is_certificate(pem)]


def _damaged(node: ClusterNode) -> Fault:
    todo = "restart the server" if node.first_node else "set it again with ucm.capf.nodes, or remove the node"
    return Fault(f"table nodes, the row of node {node.name!r}", "its certificate cannot be read", todo)


def further(connection: Connection) -> list[ClusterNode]:
    """Return the nodes to which the first one publishes its files."""
    return [node for node in all_nodes(connection) if not node.first_node]


def show(node: ClusterNode, ctl_sha256: str) -> dict[str, Any]:
    """Return a node as the API shows it; ``ctl_sha256`` is the digest of the CTL file that it should have."""
    own = node.first_node or (ctl_sha256 != "" and node.ctl_sha256 == ctl_sha256)
    return {
        **_shown(
            {name: getattr(node, name) for name in ClusterNode._fields if name not in ("published_at", "ctl_sha256")}
        ),
        "role": "" if node.role is None else node.role.name,
        "published_at": "" if node.published_at is None else moment.show(node.published_at),
        "ctl_file_is_current": own,
    }


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the fingerprint of each certificate instead of its PEM."""
    return {
        f"{name}_sha256" if name in _PEMS else name: _fingerprint(value) if name in _PEMS else value
        for name, value in values.items()
    }


def _fingerprint(pem: str | None) -> str:
    """Return the fingerprint, empty without a readable certificate."""
    readable = pem is not None and _is_certificate(pem)
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex() if pem and readable else ""


def register_first(tx: Transaction, port: int, certificate: str) -> None:
    """Make this server the first node of the list, or update its entry; done at every start.

    A server that shares the database of another first node leaves the other's entry alone.
    """
    address = {
        "name": tx.context.node_name,
        "administration_address": tx.context.node_name,
        "administration_port": port,
    }
    mine = {**address, "administration_certificate": certificate}
    first = next((node for node in all_nodes(tx.connection) if node.first_node), None)
    if first is None:
        roles = {"first_node": True, "call_processing": True, "tftp": True}
        node_rows.add_node(tx.connection, {**mine, **roles})
    elif tx.context.node_name == first.name or certificate == first.administration_certificate:
        node_rows.change_node(tx.connection, first.name, mine)


def ensure(tx: Transaction, wanted: Sequence[WantedNode], state: Literal["present", "absent"]) -> Changes:
    """Add, change or remove nodes, completely or not at all. An omitted setting is left alone.

    InvalidRequestError names every wrong field; ConflictError on a subscriber, or to remove the first.
    """
    if not tx.context.first_node:
        raise FurtherNodeError("the list of the cluster's nodes is kept")
    known = {node.name: node for node in all_nodes(tx.connection)}
    problems = _problems(wanted, known, state)
    if problems:
        raise InvalidRequestError(problems)
    results = _absent(tx.connection, wanted, known) if state == "absent" else _present(tx.connection, wanted, known)
    verb = {(True, False): "add node", (False, True): "remove node", (False, False): "change node"}
    for change in results:
        action = verb[change.before is None, change.after is None]
        tx.audit(action, **{"node": change.name, **(change.after or {})})
    return Changes(len(wanted), results)


def _absent(connection: Connection, wanted: Sequence[WantedNode], known: Mapping[str, ClusterNode]) -> list[Change]:
    names = [item.name for item in wanted if item.name in known]
    node_rows.remove_nodes(connection, names)
    return [Change(name, {"role": _role(known[name])}, None) for name in names]


def _role(node: ClusterNode) -> str:
    return "" if node.role is None else node.role.name


def _present(connection: Connection, wanted: Sequence[WantedNode], known: Mapping[str, ClusterNode]) -> list[Change]:
    results = []
    for item in wanted:
        given, node = item.given, known.get(item.name)
        if node is None:
            defaults = {"call_processing": True, "tftp": True, "certificate": None}
            address = {"administration_address": item.name, "administration_port": DEFAULT_PORT}
            row = {**defaults, **address, **given, "first_node": False}
            node_rows.add_node(connection, row)
            results.append(Change(item.name, None, _shown(row)))
            continue
        after = {name: value for name, value in given.items() if getattr(node, name) != value}
        if after:
            node_rows.change_node(connection, node.name, after)
            before = {name: getattr(node, name) for name in after}
            results.append(Change(node.name, _shown(before), _shown(after)))
    return results


def _problems(wanted: Sequence[WantedNode], known: Mapping[str, ClusterNode], state: str) -> list[Problem]:
    problems, seen = [], dict[str, int]()
    for index, item in enumerate(wanted):
        where, name = f"nodes[{index}].", item.name
        node = known.get(name)
        if not _is_host(name):
            problems.append(not_allowed(f"{where}name", name, _HOST_ALLOWED))
        if name in seen:
            message = f"{name} is listed twice, first at index {seen[name]}; list each node once"
            problems.append(Problem(f"{where}name", name, message))
        seen.setdefault(name, index)
        if state == "absent" and node is not None and node.first_node:
            message = f"{name} is the first node, which cannot be removed; list subscribers only"
            problems.append(Problem(f"{where}name", name, message))
        if state == "present":
            problems += _setting_problems(where, item, node)
    return problems


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST.fullmatch(text) is not None
    return True


def _setting_problems(where: str, item: WantedNode, node: ClusterNode | None) -> list[Problem]:
    problems = []
    first = node is not None and node.first_node
    for name in ("administration_address", "administration_port", "administration_certificate"):
        if first and getattr(item, name) is not None:
            message = "this cannot be set for the first node, which knows its own; leave it out"
            problems.append(Problem(where + name, _short(getattr(item, name)), message))
    if node is None and item.administration_certificate is None:
        message = "a new node needs the certificate of its administration API; give it in PEM"
        problems.append(Problem(f"{where}administration_certificate", "", message))
    address, port = item.administration_address, item.administration_port
    if address is not None and not _is_host(address):
        problems.append(not_allowed(f"{where}administration_address", address, _HOST_ALLOWED))
    if port is not None and not 1 <= port <= _MAXIMUM_PORT:
        problems.append(not_allowed(f"{where}administration_port", str(port), f"1 to {_MAXIMUM_PORT}"))
    for name in _PEMS:
        pem = getattr(item, name)
        if pem is not None and not _is_certificate(pem):
            message = "this is not one certificate in PEM with an RSA or EC key; give one"
            problems.append(Problem(where + name, _short(pem), message))
    return problems


def _plain(pem: str) -> str:
    """Return the PEM without surrounding text, so that it can be compared."""
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.PEM).decode()


def _short(value: object) -> str:
    return str(value)[:60]


def _is_certificate(pem: str) -> bool:
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem.encode())
        return isinstance(certificate.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    except (ValueError, UnsupportedAlgorithm):
        return False


def published(tx: Transaction, name: str, ctl_sha256: str) -> None:
    """Record that a node has all published files, and which CTL file it has."""
    node_rows.change_node(tx.connection, name, {"published_at": tx.now, "ctl_sha256": ctl_sha256})
