# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application behind a door: Hypercorn gets each connection when its first byte has arrived.

Hypercorn's own ``serve`` accepts connections itself and starts TLS immediately, which costs 300 kB for a connection
that stays silent. Here the door accepts, and each connection is passed to Hypercorn's ``TCPServer`` as ``serve`` would
do it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import AppWrapper
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capf.network.door import Bounds, Door, Guest

LOG = logging.getLogger(__name__)
HEADER_SECONDS = 10
"""Maximum seconds for a client's first byte, its handshake, its headers, or its next request."""
_SEND_SECONDS = 90
"""Maximum seconds for which a client may read nothing of its answer; more than a download waits by itself."""
_END_SECONDS = 3


class Web:
    """One application on one port."""

    def __init__(
        self,
        name: str,
        app: ASGIApp,
        tls: ssl.SSLContext | None,
        places: int,
        places_of_address: int,
        descriptors: Callable[[], int] | None = None,
    ) -> None:
        """``places``: maximum connections in total and per address; ``descriptors``: how many the port may use now."""
        self._app = app
        self._tls = tls
        self._door = Door(name, Bounds(places, places_of_address, HEADER_SECONDS), self._begin, descriptors)
        self._config = _config()
        self._context = WorkerContext(None)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, addresses: Sequence[str], port: int, stopped: Callable[[], Awaitable[object]]) -> None:
        """Serve until ``stopped`` returns; OSError if one of the addresses cannot be used."""
        self._door.open(addresses, port)
        try:
            await stopped()
        finally:
            self._door.close()
            await self._context.terminated.set()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_END_SECONDS)
            for task in self._tasks:
                task.cancel()

    def _begin(self, guest: Guest) -> None:
        task = asyncio.get_running_loop().create_task(self._converse(guest))
        guest.hang_up = task.cancel
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, guest))

    def _ended(self, guest: Guest, task: asyncio.Task[None]) -> None:
        """Handle the end of a connection."""
        self._tasks.discard(task)
        self._door.leave(guest)
        # No longer the task, whose error would keep the buffers of TLS until garbage is collected.
        guest.hang_up = guest.socket.close
        guest.hang_up()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            LOG.error("event=connection-error peer=%s", guest.peer, exc_info=error)

    async def _converse(self, guest: Guest) -> None:
        """Serve one connection until it ends; OSError if TLS fails."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _unused = await loop.connect_accepted_socket(
            lambda: protocol, guest.socket, ssl=self._tls, ssl_handshake_timeout=HEADER_SECONDS if self._tls else None
        )
        guest.hang_up = partial(_hang_up, transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await _Connection(self._watched(guest), loop, self._config, self._context, {}, reader, writer)
        finally:
            _hang_up(transport)

    def _watched(self, guest: Guest) -> AppWrapper:
        """Return the application for one guest, who is busy from the end of each request to the end of its answer."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = _Request(self._door, guest, scope, receive, send)
            try:
                await self._app(scope, request.receive, request.send)
            finally:
                request.end()

        return wrap_app(app, 0, "asgi")  # type: ignore[arg-type]


class _Http1(H11Protocol):
    """HTTP/1.1 alone: by HTTP/2, each connection could have a hundred requests at once, whatever the limits (P32)."""

    async def _check_protocol(self, _event: object) -> None:
        """Ignore every wish to change to HTTP/2, as RFC 9110 allows."""


class _Connection(TCPServer):
    """Hypercorn's connection, which stays with HTTP/1.1 and ends with its client.

    Hypercorn waits for the next request until its timeout, even if the client has closed the connection. Meanwhile,
    disconnected clients would occupy the door's places, and connected ones would be closed to make room.
    """

    _client_is_gone = False

    async def protocol_send(self, event: Event) -> None:
        """Send a part of an answer; wait for a next request only while one can come."""
        if not (isinstance(event, Updated) and event.idle and self._client_is_gone):
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        chosen = self.protocol
        chosen.protocol = _Http1(
            chosen.app,
            chosen.config,
            chosen.context,
            chosen.task_group,
            chosen.state,
            chosen.ssl,
            chosen.client,
            chosen.server,
            chosen.send,
        )
        await super()._read_data()
        self._client_is_gone = True
        await self.idle_task.stop()


def _hang_up(transport: asyncio.Transport) -> None:
    """Close a connection immediately; a TLS transport of Debian 12's Python fails if it is closed twice."""
    with contextlib.suppress(AttributeError):
        transport.abort()


class _Request:
    """Detects when a request is complete, and gives up on a client that does not read its answer."""

    def __init__(self, door: Door, guest: Guest, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._guest = guest
        self._receive = receive
        self._send = send
        self._whole = False
        if scope["type"] == "http" and not _has_body(scope):
            self._is_whole()

    def _is_whole(self) -> None:
        if not self._whole:
            self._whole = True
            self._door.busy(self._guest)

    def end(self) -> None:
        """Mark the answer as sent."""
        if self._whole:
            self._door.idle(self._guest)

    async def receive(self) -> Message:
        """Return the next part of the request."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._is_whole()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; the connection ends if the client does not read it."""
        limit = asyncio.get_running_loop().call_later(_SEND_SECONDS, self._guest.hang_up)
        try:
            await self._send(message)
        finally:
            limit.cancel()


def _has_body(scope: Scope) -> bool:
    """Return whether a body may still follow."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _config() -> Config:
    config = Config()
    config.include_server_header = False
    config.keep_alive_timeout = HEADER_SECONDS
    config.loglevel = "WARNING"
    return config


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return the TLS settings of the administration port, with Hypercorn's choice of versions and ciphers."""
    config = Config()
    config.certfile, config.keyfile = certificate, key
    config.alpn_protocols = ["http/1.1"]
    context = config.create_ssl_context()
    assert context is not None  # noqa: S101 - there is a certificate
    return context
