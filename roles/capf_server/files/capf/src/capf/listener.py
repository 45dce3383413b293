"""The CAPF port: accepts phones, counts them, and lets no one delay another.

A connection is counted before TLS begins and every wait has its deadline (design: Choices). Of phones that arrive at
once, a few start TLS in each turn of the event loop, so that sessions that are under way come first; once a crowd has
begun, the others begin slowly, so that memory stays small.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from capf.connection import Backend, Connection
from capf.devices import Places
from capf.session import Patience

LOG = logging.getLogger(__name__)
_ACCEPTED_A_TURN = 100
_BEGUN_A_TURN = 8
_CROWD = 2000
_CROWDED_SECONDS = 0.05
"""Between two turns while a crowd has begun: less than ends meanwhile, but never nothing, whoever the crowd is."""
_PAUSE_SECONDS = 0.5
_SWEEP_SECONDS = 0.25
_QUIET_SECONDS = 10.0
_ALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
_UNHEARD_MILLISECONDS = 25_000
"""A phone that lost its power says nothing, while it may be silent for an hour over its key: the kernel asks whether it
is there, and gives up before the phone comes again after 30 seconds (R5, R6)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sessions at once in all, per address and per device, and the seconds that a TLS handshake may take."""

    sessions: int = 10000
    sessions_per_address: int = 10000
    sessions_per_device: int = 8
    handshake_seconds: float = 10.0


class Listener:
    """The running CAPF service; the ``Door`` of its connections."""

    def __init__(self, backend: Backend, tls: ssl.SSLContext, limits: Limits, patience: Patience) -> None:
        self.backend = backend
        self.tls = tls
        self.patience = patience
        self.handshake_seconds = limits.handshake_seconds
        self._limits = limits
        self._sockets: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._arrived: deque[Connection] = deque()
        self._begun = 0
        self._addresses: Counter[str] = Counter()
        self._devices = Places[Connection](limits.sessions_per_device)
        self._ending: set[asyncio.Task[None]] = set()
        """Sessions that make room for others."""
        self._empty = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._complaints: dict[str, float] = {}

    @property
    def sessions(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on every address; OSError when one cannot be used, and then on none."""
        try:
            for address in addresses:
                self._sockets.append(_listen(address, port))
        except OSError:
            self._close_sockets()
            raise
        for item in self._sockets:
            self._watch(item)
        self._expire()

    async def stop(self, drain_seconds: float) -> None:
        """Take no new phones, give the open sessions ``drain_seconds``, then close them."""
        self._close_sockets()
        self._empty.clear()
        if self._connections:
            await asyncio.wait([asyncio.ensure_future(self._empty.wait())], timeout=drain_seconds)
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*(connection.break_off() for connection in self._connections))

    def _close_sockets(self) -> None:
        for item in self._sockets:
            asyncio.get_running_loop().remove_reader(item)
            item.close()
        self._sockets.clear()

    def _watch(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Let in who is there; where the process has no file descriptor left, look again after a pause."""
        for _unused in range(_ACCEPTED_A_TURN):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                self._complain("accept-failed", f"error={str(error)!r}")
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                loop.call_later(_PAUSE_SECONDS, self._watch, listening)
                return
            self._let_in(accepted, str(address[0]))

    def _let_in(self, accepted: socket.socket, peer: str) -> None:
        if self.sessions >= self._limits.sessions or self._addresses[peer] >= self._limits.sessions_per_address:
            self._complain("limit", f"peer={peer}")
            accepted.close()
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(Connection(self, accepted, peer))
        self._addresses[peer] += 1

    def queue(self, connection: Connection) -> None:
        """Note who has sent his first bytes, so that his turn to start TLS comes."""
        self._arrived.append(connection)
        if len(self._arrived) == 1:
            asyncio.get_running_loop().call_soon(self._begin_some)

    def _begin_some(self) -> None:
        for _unused in range(min(_BEGUN_A_TURN, len(self._arrived))):
            connection = self._arrived.popleft()
            connection.begin()
            self._begun += connection.begun
        if self._arrived:
            pause = _CROWDED_SECONDS if self._begun > _CROWD else 0
            asyncio.get_running_loop().call_later(pause, self._begin_some)

    def _expire(self) -> None:
        """Tell the connections whose deadline has passed, and come again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [item for item in self._connections if item.deadline <= now]:
            connection.expire()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._expire)

    def enter(self, connection: Connection, device_name: str) -> bool:
        """Count a session of a device; False when it has too many."""
        victim = self._devices.make_room(device_name)
        if victim is not None:
            task = asyncio.get_running_loop().create_task(victim.break_off())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        entered = self._devices.enter(connection, device_name)
        if victim is not None or not entered:
            self._complain("device-limit", f"device={device_name[:64]!r}")
        return entered

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        self._begun -= connection.begun
        _less(self._addresses, connection.peer)
        if connection.device_name is not None:
            self._devices.leave(connection, connection.device_name)
        if not self._connections:
            self._empty.set()

    def _complain(self, event: str, about: str) -> None:
        """Warn of something that may happen very often, once in a while."""
        now = asyncio.get_running_loop().time()
        if now >= self._complaints.get(event, now):
            self._complaints[event] = now + _QUIET_SECONDS
            LOG.warning("event=%s %s", event, about)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _ask_for_life(listening)
        listening.bind((address, port))
        listening.listen(4096)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _ask_for_life(listening: socket.socket) -> None:
    """Have the kernel notice phones that are gone; the connections that are accepted inherit it."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _ALIVE.items():
        listening.setsockopt(socket.IPPROTO_TCP, option, value)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MILLISECONDS)
