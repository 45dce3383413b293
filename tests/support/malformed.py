# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients that violate the protocol in many ways, each in a separate session (P15)."""

from __future__ import annotations

import multiprocessing
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from capf.phone_session.wire import Command, Message, Reader, Tag, encode, string

_NAME = string("SEP00000000000A")
FORGERY = "SEP\n2026-01-01 00:00:00,000 level=INFO logger=capf.network.door session=00000000 event=claim \x1b[2J\r\x07"


def _answer(session_id: int, elements: dict[int, bytes], command: Command = Command.AUTH_RESPONSE) -> bytes:
    return encode(Message(command, session_id, elements))


def _hello(**elements: bytes) -> dict[int, bytes]:
    given = {"VERSION": b"\x03", "DEVICE_NAME": _NAME, **elements}
    return {int(Tag[name]): value for name, value in given.items()}


KINDS: dict[str, Callable[[int], bytes]] = {
    "another protocol": lambda _unused: b"GET / HTTP/1.1\r\n\r\n",
    "an unknown command": lambda _unused: b"\x55\xff\0\0\0\0\0\0",
    "too long": lambda _unused: b"\x55\x02\0\0\0\0\xff\xff",
    "an element that is cut off": lambda _unused: b"\x55\x02\0\0\0\0\0\3\1\0\x09",
    "another session": lambda session: _answer(session ^ 1, _hello()),
    "another command": lambda session: _answer(session, {}, Command.KEY_GENERATE_RESPONSE),
    "no device name": lambda session: _answer(session, _hello(DEVICE_NAME=b"\0")),
    "a name without end": lambda session: _answer(session, _hello(DEVICE_NAME=b"SEP\n\x1b")),
    "a damaged certificate package": lambda session: _answer(session, _hello(CERTIFICATE=b"\x01\xff\xff")),
    "a name that forges a line": lambda session: _answer(session, _hello(DEVICE_NAME=string(FORGERY))),
}


def _break(port: int, index: int, context: ssl.SSLContext, before: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """Run one malformed session until the server closes it; return the TLS session, which makes the next one cheap."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=60)
    with context.wrap_socket(raw, session=before) as connection:
        reader = Reader()
        reader.feed(connection.recv(8192))
        request = reader.next_message()
        assert request is not None
        connection.sendall(list(KINDS.values())[index % len(KINDS)](request.session_id))
        try:
            while connection.recv(8192):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        return connection.session


def _work(port: int, sessions: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    before = None
    for index in range(sessions):
        before = _break(port, index, context, before)


def lead(port: int, sessions: int, processes: int) -> None:
    """Run this number of malformed sessions, some concurrently; AssertionError if a client does not finish."""
    each = [multiprocessing.Process(target=_work, args=(port, sessions // processes)) for _index in range(processes)]
    for process in each:
        process.start()
    for process in each:
        process.join()
    assert [process.exitcode for process in each] == [0] * processes


def resident_kib(pid: int) -> int:
    """Return the current resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])
