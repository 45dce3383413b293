# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A port's door: accepts connections, counts them, and keeps each as a bare socket until its first byte arrives.

A bare socket costs little; TLS and HTTP start when there is something to read. Each door has its own limits, in total
and per address (``addresses.counted_as``). At a limit, the connection that has been idle longest is closed, starting
with the address that has the most connections. A *busy* connection is never closed for this: it has sent a complete
request that is not answered yet, or it was admitted to an operation.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

from capf.addresses import counted_as
from capf.network.line import Line
from capf.network.watch import Call, SocketWatch

LOG = logging.getLogger(__name__)
_ACCEPTED_A_TURN = 250
_BEGUN_A_TURN = 4
"""The number of waiting connections that may begin in one iteration of the event loop: open ones have priority."""
_ADDRESSES_A_TURN = 1000
_UNFINISHED = 32
"""One in this many places is for connections that have begun and are not busy: they cost far more than bare ones."""
_PATIENCE_SECONDS = 5.0
"""Seconds of silence before a connection makes room for one from an address with as many connections."""
_PAUSE_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.05
_SWEEP_SECONDS = 0.25
_QUIET_SECONDS = 60.0
_ALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
_UNHEARD_MILLISECONDS = 25_000
"""Keepalive detects a phone that lost its power, because a phone may also be silent for an hour while it generates its
key. The kernel gives up before the phone retries after 30 seconds (R5, R6)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The maximum connections in total and per address, and the seconds until the first byte has to arrive."""

    places: int
    places_of_address: int
    first_byte_seconds: float

    def within(self, descriptors: int) -> Bounds:
        """Return the limits for fewer descriptors than places; an address keeps its share of them."""
        if descriptors >= self.places:
            return self
        of_address = max(1, self.places_of_address * descriptors // self.places)
        return Bounds(descriptors, of_address, self.first_byte_seconds)

    @property
    def unfinished(self) -> int:
        """How many connections may have begun without being busy."""
        return max(1, self.places // _UNFINISHED)


class Guest:
    """One connection.

    ``peer`` is its address, ``address`` the address that it is counted under, ``since`` the start of its silence. The
    code that serves it sets ``hang_up``, which closes it immediately. ``call`` is called whenever it can be read.
    """

    __slots__ = ("_descriptor", "_watch", "address", "busy", "call", "gone", "hang_up", "peer", "since", "socket")

    def __init__(self, accepted: socket.socket, peer: str, now: float, watch: SocketWatch) -> None:
        self._watch = watch
        self._descriptor = accepted.fileno()
        self.socket = accepted
        self.peer = peer
        self.address = counted_as(peer)
        self.since = now
        self.busy = 0
        self.gone = False
        self.call: Call | None = None
        self.hang_up: Callable[[], object] = accepted.close

    def when_readable(self, call: Call) -> None:
        """Call this whenever the guest has sent something or has ended, instead of what was called before."""
        self.call = call
        self._watch.call(self._descriptor, call)

    def ignore(self) -> None:
        """Call nothing any longer; the socket has to be open."""
        if self.call is not None:
            self.call = None
            self._watch.forget(self._descriptor)


class Door:
    """The connections of one service; ``begin`` is called with each guest when its first byte arrives."""

    def __init__(
        self, name: str, bounds: Bounds, begin: Callable[[Guest], None], descriptors: Callable[[], int] | None = None
    ) -> None:
        """``descriptors`` returns how many descriptors this door may use; None means no limit."""
        self._name = name
        self._wanted = self._bounds = bounds
        self._begin = begin
        self._descriptors = descriptors or (lambda: sys.maxsize)
        self._watch = SocketWatch(self._begin_heard)
        self._sockets: list[socket.socket] = []
        self._count = 0
        self._addresses: Counter[str] = Counter()
        self._bare: dict[Guest, None] = {}
        self._arrived: OrderedDict[str, dict[Guest, None]] = OrderedDict()
        """Guests that have sent something but have not begun, by address."""
        self._heard: list[Guest] = []
        """The latest of them, which may begin at once; the others are not watched."""
        self._silent: Line[Guest] = Line()
        """All guests that are not busy."""
        self._unfinished: Line[Guest] = Line()
        """The guests among them that have begun."""
        self._turn: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._complaints: dict[str, float] = {}

    @property
    def guests(self) -> int:
        """How many connections are open now."""
        return self._count

    def open(self, addresses: Sequence[str], port: int) -> None:
        """Listen on every address; OSError, and no listener at all, if one of them cannot be used."""
        try:
            for address in addresses:
                self._sockets.append(_listen(address, port))
        except OSError:
            self.close()
            raise
        for item in self._sockets:
            self._listen(item)
        self._expire()

    def close(self) -> None:
        """Accept no new guests, and close those that have not begun."""
        for item in self._sockets:
            self._watch.forget(item.fileno())
            item.close()
        self._sockets.clear()
        if self._sweep is not None:
            self._sweep.cancel()
        waiting = [guest for queue in self._arrived.values() for guest in queue]
        for guest in [*self._bare, *waiting]:
            self._send_away(guest)

    def _listen(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._watch.call(listening.fileno(), partial(self._accept, listening))

    def _accept(self, listening: socket.socket) -> None:
        """Accept pending connections; when out of file descriptors, make room or retry after a pause."""
        self._bounds = self._wanted.within(self._descriptors())
        for _unused in range(_ACCEPTED_A_TURN):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                self._complain("accept-failed", f"error={str(error)!r}")
                if not self._make_room(self._silent.first()):
                    self._watch.forget(listening.fileno())
                    asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._listen, listening)
                return
            self._let_in(accepted, str(address[0]))

    def _let_in(self, accepted: socket.socket, peer: str) -> None:
        guest = Guest(accepted, peer, asyncio.get_running_loop().time(), self._watch)
        if not self._has_place(guest.address):
            self._complain("limit", f"peer={peer}")
            accepted.close()
            return
        accepted.setblocking(False)
        self._count += 1
        self._addresses[guest.address] += 1
        self._silent.add(guest)
        self._bare[guest] = None
        guest.when_readable(partial(self._hear, guest))

    def _has_place(self, address: str) -> bool:
        """Return whether there is a place for one more guest of an address, after making room if necessary."""
        if self._addresses[address] >= self._bounds.places_of_address:
            return self._make_room(self._silent.first(address))
        return self._count < self._bounds.places or self._make_room(self._silent.first())

    def _make_room(self, guest: Guest | None) -> bool:
        """Hang up on the chosen guest; False if there is none."""
        if guest is None:
            return False
        self._complain("makes-room", f"peer={guest.peer}")
        self._send_away(guest)
        return True

    def _send_away(self, guest: Guest) -> None:
        self.leave(guest)
        guest.hang_up()

    def leave(self, guest: Guest) -> None:
        """Stop counting a closed connection."""
        if guest.gone:
            return
        guest.gone = True
        self._count -= 1
        self._addresses[guest.address] -= 1
        if not self._addresses[guest.address]:
            del self._addresses[guest.address]
        self._silent.discard(guest)
        self._unfinished.discard(guest)
        self._bare.pop(guest, None)
        guest.ignore()
        self._leave_queue(guest)
        self._wake()

    def _hear(self, guest: Guest) -> None:
        """A bare connection has something to read: its first byte, or its end."""
        try:
            heard = guest.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if heard:
            del self._bare[guest]
            self._arrived.setdefault(guest.address, {})[guest] = None
            self._heard.append(guest)
        else:
            self._send_away(guest)

    def _begin_heard(self) -> None:
        """Let guests that have just sent something begin, after those that had to wait; do not watch the rest."""
        if not self._heard:
            return
        if self._turn is None:
            self._begin_some()
        for guest in self._heard:
            if guest in self._arrived.get(guest.address, ()):
                guest.ignore()
        self._heard.clear()

    def _leave_queue(self, guest: Guest) -> None:
        queue = self._arrived.get(guest.address, {})
        queue.pop(guest, None)
        if not queue:
            self._arrived.pop(guest.address, None)

    def _wake(self) -> None:
        """Let guests that have sent something begin in the next iteration of the event loop."""
        if self._arrived and (self._turn is None or self._turn.when() > asyncio.get_running_loop().time()):
            self._next_turn(0)

    def _next_turn(self, seconds: float) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self._turn = asyncio.get_running_loop().call_later(seconds, self._begin_some)

    def _begin_some(self) -> None:
        self._turn = None
        for _unused in range(_BEGUN_A_TURN):
            guest = self._next()
            if guest is None:
                break
            guest.since = asyncio.get_running_loop().time()
            self._silent.add(guest)
            self._unfinished.add(guest)
            waits = guest.call
            self._begin(guest)
            if guest.call is waits:
                guest.ignore()
        if self._arrived:
            self._next_turn(0 if guest else _LOOK_AGAIN_SECONDS)

    def _next(self) -> Guest | None:
        """Return the guests that begin now: addresses alternate, and each guest needs a place."""
        for address in list(islice(self._arrived, _ADDRESSES_A_TURN)):
            self._arrived.move_to_end(address)
            if self._may_begin(address):
                guest = next(iter(self._arrived[address]))
                self._leave_queue(guest)
                return guest
        return None

    def _may_begin(self, address: str) -> bool:
        """Return whether one more guest of an address may begin, after closing one of an address with more."""
        if len(self._unfinished) < self._bounds.unfinished:
            return True
        chosen = self._unfinished.first()
        if chosen is None:
            return False
        less = self._unfinished.share(address) + 1 < self._unfinished.share(chosen.address)
        silent = asyncio.get_running_loop().time() - chosen.since >= _PATIENCE_SECONDS
        return (less or silent) and self._make_room(chosen)

    def busy(self, guest: Guest) -> None:
        """Mark a guest that has sent a complete request or was admitted: it is not closed until it is ``idle``."""
        guest.busy += 1
        self._silent.discard(guest)
        self._unfinished.discard(guest)
        self._wake()

    def idle(self, guest: Guest) -> None:
        """Mark a guest whose request is answered; its silence begins now."""
        guest.busy -= 1
        if guest.busy or guest.gone:
            return
        guest.since = asyncio.get_running_loop().time()
        self._silent.add(guest)
        self._unfinished.add(guest)
        if len(self._unfinished) > self._bounds.unfinished:
            self._make_room(self._unfinished.first())

    def _expire(self) -> None:
        """Close guests that were silent for too long or exceed the descriptors, and schedule the next check."""
        loop = asyncio.get_running_loop()
        self._bounds = self._wanted.within(self._descriptors())
        latest = loop.time() - self._bounds.first_byte_seconds
        for guest in list(self._bare):
            if guest.since > latest:
                break
            self._expired(guest)
        while self._count > self._bounds.places and self._make_room(self._silent.first()):
            pass
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._expire)

    def _expired(self, guest: Guest) -> None:
        """Handle a guest whose time is up; bytes that already arrived but were not read yet still count."""
        with suppress(OSError):
            if guest.socket.recv(1, socket.MSG_PEEK):
                self._hear(guest)
                self._begin_heard()
                return
        LOG.debug("event=silent door=%s peer=%s", self._name, guest.peer)
        self._send_away(guest)

    def _complain(self, event: str, about: str) -> None:
        """Warn about a frequent event at most once a minute."""
        now = asyncio.get_running_loop().time()
        if now >= self._complaints.get(event, now):
            self._complaints[event] = now + _QUIET_SECONDS
            LOG.warning("event=%s door=%s open=%d %s", event, self._name, self._count, about)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _set_options(listening)
        listening.bind((address, port))
        listening.listen(4096)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _set_options(listening: socket.socket) -> None:
    """Disable Nagle's algorithm and enable keepalive; accepted connections inherit both."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _ALIVE.items():
        listening.setsockopt(socket.IPPROTO_TCP, option, value)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MILLISECONDS)


def gather_until_closed(connection: socket.socket) -> None:
    """Let what is still sent wait for the end of the connection, so that all of it leaves in one packet."""
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
