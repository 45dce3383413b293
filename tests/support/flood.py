# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that holds thousands of connections that are silent, or become silent, and reconnects closed ones."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import resource
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

_AT_ONCE = 200
_AGAIN_A_SECOND = 400
"""Maximum number of closed connections that are replaced per second."""
_BEGIN_SECONDS = 60
_SETTLED_SECONDS = 2
"""Seconds until the server has accepted the connections that the kernel has queued: the flood after its first burst."""


def half_a_handshake() -> bytes:
    """Return the first part of a TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def a_handshake_cut_off() -> bytes:
    """Return a TLS handshake's first bytes."""
    return half_a_handshake()[:40]


HALF_A_HEADER = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: "


@dataclass(frozen=True, slots=True)
class Target:
    """Connections to one port from some loopback addresses, and the bytes that each sends before it becomes silent."""

    port: int
    count: int
    addresses: Sequence[str]
    sends: bytes = b""


class _Flood:
    def __init__(self, targets: Sequence[Target]) -> None:
        self._wanted = [target for target in targets for _index in range(target.count)]
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, Target, int]] = {}
        self._closed: list[tuple[Target, int]] = [(target, index) for index, target in enumerate(self._wanted)]

    def connect(self, most: int) -> None:
        """Open some of the missing connections."""
        for _index in range(min(most, len(self._closed))):
            target, number = self._closed.pop()
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind((target.addresses[number % len(target.addresses)], 0))
            state = connection.connect_ex(("127.0.0.1", target.port))
            assert state == errno.EINPROGRESS, errno.errorcode[state]
            self._open[connection.fileno()] = (connection, target, number)
            self._poll.register(connection, select.EPOLLOUT | select.EPOLLRDHUP)

    def look(self, seconds: float) -> None:
        """Send the bytes on new connections, and detect those that the server has closed."""
        for number, events in self._poll.poll(seconds):
            connection, target, index = self._open[number]
            if events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                self._poll.unregister(number)
                del self._open[number]
                connection.close()
                self._closed.append((target, index))
                continue
            with contextlib.suppress(OSError):
                connection.send(target.sends) if target.sends else None
            self._poll.modify(number, select.EPOLLRDHUP)


def _work(pipe: Connection, targets: Sequence[Target]) -> None:
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    flood = _Flood(targets)
    for _index in range(sum(target.count for target in targets) // _AT_ONCE + 1):
        flood.connect(_AT_ONCE)
        flood.look(0.01)
    settled: float | None = time.monotonic() + _SETTLED_SECONDS
    while not pipe.poll(0):
        begin = time.monotonic()
        flood.connect(_AGAIN_A_SECOND // 20)
        while time.monotonic() < begin + 1 / 20:
            flood.look(1 / 20)
        if settled is not None and begin > settled:
            settled = None
            pipe.send("begun")


@contextlib.contextmanager
def flooded(targets: Sequence[Target]) -> Iterator[None]:
    """Hold the connections of all targets, each in a separate process, while the block runs."""
    context = multiprocessing.get_context("spawn")
    work = []
    for target in targets:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, [target]))
        process.start()
        work.append((process, ours))
    try:
        for _process, pipe in work:
            assert pipe.poll(_BEGIN_SECONDS) and pipe.recv() == "begun"
        yield
    finally:
        for process, pipe in work:
            with contextlib.suppress(OSError):
                pipe.send("end")
            process.join(10)
            process.kill()
