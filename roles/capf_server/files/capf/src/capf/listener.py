"""The CAPF port: accepts, limits, starts TLS, and carries out what ``session.dialogue`` asks for.

A connection is counted before TLS begins and every wait has its deadline, so that silent or slow
clients never delay a phone (design: Choices).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from capf.effects import (
    Claim,
    Confirm,
    Effect,
    Fail,
    Fetched,
    Granted,
    Issue,
    Lost,
    Protest,
    Receive,
    Refused,
    Reply,
    Send,
    Silence,
)
from capf.model import CapfError, Outcome, StoreUnavailableError
from capf.session import Patience, dialogue
from capf.wire import Reader, WireError, encode

LOG = logging.getLogger(__name__)
_READ_BYTES = 8192
_SEND_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


class Backend(Protocol):
    """The record behind the sessions; every call returns after its commit."""

    async def claim(self, claim: Claim) -> Granted | Refused: ...
    async def issue(self, operation_id: int, public_key: bytes) -> bytes | None: ...
    async def confirm(self, operation_id: int) -> None: ...
    async def fetched(self, operation_id: int, certificates: Sequence[tuple[int, bytes]]) -> None: ...
    async def fail(self, operation_id: int, outcome: Outcome, problem: str) -> None: ...
    async def lost(self, operation_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Sessions at once in all and per address, and the seconds that a TLS handshake may take."""

    sessions: int = 10000
    sessions_per_address: int = 10000
    handshake_seconds: float = 10.0


@dataclass(slots=True)
class _Session:
    """One phone's connection while its dialogue runs."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: str
    identifier: int
    messages: Reader = field(default_factory=Reader)
    operation_id: int | None = None


class Listener:
    """The running CAPF service."""

    def __init__(self, backend: Backend, tls: ssl.SSLContext, limits: Limits, patience: Patience) -> None:
        self._backend = backend
        self._tls = tls
        self._limits = limits
        self._patience = patience
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptors: list[asyncio.Task[None]] = []
        self._addresses: Counter[str] = Counter()

    @property
    def sessions(self) -> int:
        """How many connections are open now."""
        return len(self._tasks)

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on every address; OSError when one cannot be used, and then on none."""
        try:
            for address in addresses:
                self._sockets.append(_listen(address, port))
        except OSError:
            self._close_sockets()
            raise
        self._acceptors = [asyncio.create_task(self._accept(item)) for item in self._sockets]

    async def stop(self, drain_seconds: float) -> None:
        """Take no new phones, give the open sessions ``drain_seconds``, then close them."""
        for acceptor in self._acceptors:
            acceptor.cancel()
        await asyncio.gather(*self._acceptors, return_exceptions=True)
        self._close_sockets()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _close_sockets(self) -> None:
        for item in self._sockets:
            item.close()
        self._sockets.clear()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                LOG.warning("event=accept-failed error=%r", str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            peer = str(address[0])
            if self.sessions >= self._limits.sessions or self._addresses[peer] >= self._limits.sessions_per_address:
                LOG.warning("event=limit peer=%s", peer)
                connection.close()
                continue
            self._begin(connection, peer)

    def _begin(self, connection: socket.socket, peer: str) -> None:
        self._addresses[peer] += 1
        task = asyncio.create_task(self._serve(connection, peer))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, peer))

    def _finished(self, task: asyncio.Task[None], peer: str) -> None:
        self._tasks.discard(task)
        self._addresses[peer] -= 1
        if not self._addresses[peer]:
            del self._addresses[peer]
        if not task.cancelled() and task.exception() is not None:
            LOG.error("event=session-error peer=%s", peer, exc_info=task.exception())

    async def _serve(self, connection: socket.socket, peer: str) -> None:
        identifier = secrets.randbits(32)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        try:
            transport, _unused = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, ssl.SSLError) as error:
            LOG.info("session=%08x event=tls-failed peer=%s error=%r", identifier, peer, str(error))
            connection.close()
            return
        session = _Session(reader, asyncio.StreamWriter(transport, protocol, reader, loop), peer, identifier)
        try:
            await self._converse(session)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(session))
            raise
        except StoreUnavailableError as error:
            LOG.error("session=%08x event=store-unavailable error=%r", identifier, str(error))
        except Exception:
            await self._give_back(session)
            raise
        finally:
            with contextlib.suppress(OSError):
                session.writer.close()

    async def _give_back(self, session: _Session) -> None:
        if session.operation_id is not None:
            with contextlib.suppress(CapfError):
                await self._backend.lost(session.operation_id)

    async def _converse(self, session: _Session) -> None:
        """Run the dialogue to its end, carrying out each effect."""
        steps = dialogue(session.identifier, session.peer, self._patience)
        effect: Effect | None = next(steps)
        while effect is not None:
            reply = await self._carry_out(session, effect)
            try:
                effect = steps.send(reply)
            except StopIteration:
                effect = None

    async def _carry_out(self, session: _Session, effect: Effect) -> Reply:
        match effect:
            case Send(message):
                await self._send(session, encode(message))
            case Receive(timeout):
                return await self._receive(session, timeout)
            case Claim():
                return await self._claim(session, effect)
            case Issue(operation_id, public_key):
                return await self._backend.issue(operation_id, public_key)
            case Confirm(operation_id):
                session.operation_id = None
                await self._backend.confirm(operation_id)
            case Fetched(operation_id, certificates):
                session.operation_id = None
                await self._backend.fetched(operation_id, certificates)
            case Fail(operation_id, outcome, problem):
                session.operation_id = None
                await self._backend.fail(operation_id, outcome, problem)
            case Lost(operation_id):
                session.operation_id = None
                await self._backend.lost(operation_id)
            case Protest(problem):
                _malformed(session, problem)
        return None

    async def _claim(self, session: _Session, claim: Claim) -> Granted | Refused:
        decision = await self._backend.claim(claim)
        what = f"refused reason={decision.reason}" if isinstance(decision, Refused) else "granted"
        LOG.info(
            "session=%08x event=claim peer=%s device=%r decision=%s",
            session.identifier, session.peer, claim.device_name[:64], what,
        )  # fmt: skip
        if isinstance(decision, Granted):
            session.operation_id = decision.operation_id
        return decision

    @staticmethod
    async def _send(session: _Session, data: bytes) -> None:
        """Send one message in one write; a phone that is gone is noticed by the next receive."""
        with contextlib.suppress(OSError, TimeoutError):
            session.writer.write(data)
            await asyncio.wait_for(session.writer.drain(), _SEND_SECONDS)

    @staticmethod
    async def _receive(session: _Session, timeout: float) -> Reply:
        """Return the next message, or why there is none."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    message = session.messages.next_message()
                    if message is not None:
                        return message
                    data = await session.reader.read(_READ_BYTES)
                    if not data:
                        return Silence.LOST
                    session.messages.feed(data)
        except TimeoutError:
            return Silence.TIMEOUT
        except (WireError, ssl.SSLError) as error:
            _malformed(session, str(error))
            return Silence.GARBAGE
        except OSError:
            return Silence.LOST


def _malformed(session: _Session, problem: str) -> None:
    """Leave the one line that a session's end by bad bytes leaves; nothing in it is taken as it came."""
    LOG.warning("session=%08x event=malformed peer=%s error=%r", session.identifier, session.peer, problem)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen(4096)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
