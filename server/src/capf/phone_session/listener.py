# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF port: the sessions of all phones, the limit of each device, and all deadlines.

A connection is counted by its door before TLS starts, and every wait has a deadline (docs/design.md).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from capf.network.door import Bounds, Door, Guest
from capf.phone_session.connection import Backend, PhoneConnection
from capf.phone_session.devices import Places
from capf.phone_session.dialogue import Patience

LOG = logging.getLogger(__name__)
_SWEEP_SECONDS = 0.25
_QUIET_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum number of sessions in total, per address and per device, and the maximum seconds for a TLS handshake.

    The first byte of a connection has the same deadline as the handshake.
    """

    sessions: int = 10000
    sessions_per_address: int = 5000
    sessions_per_device: int = 8
    handshake_seconds: float = 10.0


class Listener:
    """The running CAPF service; the ``PhoneService`` of its connections."""

    def __init__(
        self,
        backend: Backend,
        tls: ssl.SSLContext,
        limits: Limits,
        patience: Patience,
        descriptors: Callable[[], int] | None = None,
    ) -> None:
        """``descriptors`` returns how many descriptors this port may use; None means no limit."""
        self.backend = backend
        self.tls = tls
        self.patience = patience
        self.handshake_seconds = limits.handshake_seconds
        self._limits = limits
        bounds = Bounds(limits.sessions, limits.sessions_per_address, limits.handshake_seconds)
        self._door = Door("capf", bounds, self._begin, descriptors)
        self._connections: set[PhoneConnection] = set()
        self._devices = Places[PhoneConnection](limits.sessions_per_device)
        self._ending: set[asyncio.Task[None]] = set()
        """Sessions that are being closed to make room for others of their device."""
        self._empty = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0

    @property
    def sessions(self) -> int:
        """How many connections are open now."""
        return self._door.guests

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on every address; OSError, and no listener at all, if one of them cannot be used."""
        self._door.open(addresses, port)
        self._expire()

    async def stop(self, drain_seconds: float) -> None:
        """Accept no new phones, give the open sessions ``drain_seconds`` to finish, then close them."""
        self._door.close()
        self._empty.clear()
        if self._connections:
            await asyncio.wait([asyncio.ensure_future(self._empty.wait())], timeout=drain_seconds)
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*(connection.break_off() for connection in self._connections))

    def _begin(self, guest: Guest) -> None:
        connection = PhoneConnection(self, guest)
        guest.hang_up = connection.close
        self._connections.add(connection)
        connection.begin()

    def _expire(self) -> None:
        """Notify the connections whose deadline has passed, and schedule the next check."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [item for item in self._connections if item.deadline <= now]:
            connection.expire()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._expire)

    def enter(self, connection: PhoneConnection, device_name: str) -> bool:
        """Count a session of a device, which is now safe from other connections; False if the device has too many."""
        victim = self._devices.make_room(device_name)
        if victim is not None:
            task = asyncio.get_running_loop().create_task(victim.break_off())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        entered = self._devices.enter(connection, device_name)
        if victim is not None or not entered:
            self._complain(device_name)
        if entered:
            self._door.busy(connection.guest)
        return entered

    def leave(self, connection: PhoneConnection) -> None:
        """Stop counting a closed connection."""
        self._connections.discard(connection)
        self._door.leave(connection.guest)
        if connection.device_name is not None:
            self._devices.leave(connection, connection.device_name)
        if not self._connections:
            self._empty.set()

    def _complain(self, device_name: str) -> None:
        """Warn about a frequent event, but only once in a while."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            LOG.warning("event=device-limit device=%r", device_name[:64])
