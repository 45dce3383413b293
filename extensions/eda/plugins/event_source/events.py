# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Event source for Event-Driven Ansible: polls a CAPF server for events, and resumes where it stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
from pathlib import Path
from typing import Any, Protocol

import aiohttp

DOCUMENTATION = r"""
---
short_description: Failed operations, stopped rollouts and expiring certificates from a CAPF server
description:
  - Puts an event into the queue for every failed certificate operation (C(operation_failed)), operation whose phone
    was refused (C(claim_refused), for the first refusal, the tenth, the hundredth and so on), address that guesses
    authentication strings (C(guessing)), stopped or aborted rollout (C(rollout_stopped), C(rollout_aborted)), LSC that
    expires soon or has expired (C(lsc_expires), C(lsc_expired)), and CAPF certificate that expires within a year
    (C(capf_certificate_expires)).
  - An event C(guessing) is sent each time a phone is locked for an address, and once a day, with an empty
    C(device_name), for an address that has reached its limit of wrong strings. Its C(detail) contains the C(address),
    its number of C(tries), and the number of C(seconds) for which it is refused.
  - The event is under C(event.capf) with the keys C(kind), C(at), C(device_name) and C(detail).
  - If the server cannot be reached, the source retries at least once a minute. Wrong credentials end the source.
options:
  host:
    description: Host name or IP address of the first node's CAPF server. Every option of the connection can also come
      from the environment, such as E(CAPF_HOST).
    type: str
    default: 127.0.0.1
  port:
    description: TCP port of the administration API.
    type: int
    default: 8443
  administrator:
    description: The administrator's name.
    type: str
    default: admin
  password:
    description: The administrator's password. If it is not set, the environment variable E(CAPF_PASSWORD) is used.
    type: str
  ca_path:
    description: PEM file with the certificate used to verify the administration API.
    type: str
  validate_certs:
    description: Verify the administration API's certificate.
    type: bool
    default: true
  expires_within_days:
    description: Number of days before its expiry at which an LSC causes an event.
    type: int
    default: 30
  cursor_file:
    description:
      - File that stores the position in the event stream, so that a restart neither loses nor repeats events.
      - Without it, each start sends all certificates that expire soon, and events that happen from then on.
    type: str
"""

EXAMPLES = r"""
- ucm.capf.events:
    host: node1.example.com
    administrator: admin
    password: "{{ capf_password }}"
    ca_path: /etc/capf/administration.crt
    cursor_file: /var/lib/eda/capf.cursor
"""

LOG = logging.getLogger(__name__)
_WAIT_SECONDS = 30
_SPARE_SECONDS = 30
_LONGEST_PAUSE = 60
_CONNECTION = ("host", "port", "administrator", "password", "ca_path", "validate_certs")
_REFUSED = {401: "administrator name or password is wrong", 422: "an option is wrong"}


class _Queue(Protocol):
    """Where events go: ansible-rulebook's queue."""

    async def put(self, event: dict[str, Any]) -> None:
        """Take an event."""


class _Server:
    """A client for the server's event stream."""

    def __init__(self, args: dict[str, Any]) -> None:
        args = {**_of_environment(), **args}
        host = str(args.get("host", "127.0.0.1"))
        shown = f"[{host}]" if ":" in host else host
        self.url = f"https://{shown}:{args.get('port', 8443)}/api/v1/events"
        if not args.get("password"):
            raise ValueError("ucm.capf.events needs a password, as an option or in CAPF_PASSWORD")
        self._login = aiohttp.BasicAuth(str(args.get("administrator", "admin")), str(args["password"]))
        self._days = int(args.get("expires_within_days", 30))
        self._tls: ssl.SSLContext | bool = False
        if args.get("validate_certs", True):
            self._tls = _trust(args.get("ca_path"))

    async def after(self, session: aiohttp.ClientSession, cursor: str) -> dict[str, Any]:
        """Return the next events and the cursor after them; wait for events if there are none yet."""
        wanted = {"after": cursor, "wait": str(_WAIT_SECONDS), "days": str(self._days)}
        async with session.get(self.url, params=wanted, auth=self._login, ssl=self._tls) as answer:
            if answer.status in _REFUSED:
                raise ValueError(f"{self.url}: {_REFUSED[answer.status]}{_problems(await answer.text())}")
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


def _trust(path: str | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file, or those that the system trusts for None."""
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"ca_path: {path!r} contains no certificate in PEM") from None
    except OSError as error:
        raise ValueError(f"ca_path: {path!r} cannot be read: {error.strerror}") from None


def _problems(text: str) -> str:
    """Return the server's messages about options, each with the name of its option; empty if there are none."""
    try:
        found = json.loads(text)["error"]["problems"]
    except (ValueError, KeyError, TypeError):
        return ""
    return "".join(f"; {problem['field']}: {problem['message']}" for problem in found)


def _why(error: Exception) -> str:
    """Return why the server gave no answer, in words of this project or of the operating system."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted; set ca_path (or CAPF_CA_PATH) to the certificate of the server"
    if isinstance(error, aiohttp.ClientSSLError):
        return "the TLS connection failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or "it cannot be reached"
    if isinstance(error, aiohttp.ContentTypeError):
        return "the program on that port is not a CAPF server"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the server answered with HTTP status {error.status}"
    return "the connection was closed"


def _of_environment() -> dict[str, Any]:
    """Return the options of the connection that are in the environment."""
    given = {name: os.environ.get(f"CAPF_{name.upper()}") for name in _CONNECTION}
    found: dict[str, Any] = {name: value for name, value in given.items() if value}
    if "validate_certs" in found:
        found["validate_certs"] = found["validate_certs"].lower() in ("1", "on", "true", "yes")
    return found


def _read(path: Path | None) -> str:
    return path.read_text(encoding="ascii").strip() if path is not None and path.exists() else ""


def _write(path: Path | None, cursor: str) -> None:
    if path is None:
        return
    new = path.with_name(f"{path.name}.new")
    new.write_text(f"{cursor}\n", encoding="ascii")
    new.replace(path)


async def main(queue: _Queue, args: dict[str, Any]) -> None:
    """Fill the queue until cancelled; an event counts as delivered once it is in the queue."""
    server = _Server(args)
    path = Path(args["cursor_file"]).expanduser() if args.get("cursor_file") else None
    cursor, pause = _read(path), 1
    timeout = aiohttp.ClientTimeout(total=_WAIT_SECONDS + _SPARE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                answer = await server.after(session, cursor)
            except (TimeoutError, aiohttp.ClientError) as error:
                LOG.warning("ucm.capf.events: %s: %s; retrying in %d s", server.url, _why(error), pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = 1
            for event in answer["events"]:
                await queue.put({"capf": event})
            if answer["cursor"] != cursor:
                cursor = answer["cursor"]
                _write(path, cursor)


if __name__ == "__main__":

    class _Printer:
        """Replaces the queue when the source is run by hand."""

        async def put(self, event: dict[str, Any]) -> None:
            """Print the event."""
            print(event)

    asyncio.run(main(_Printer(), {"administrator": os.environ.get("CAPF_ADMINISTRATOR", "admin")}))
