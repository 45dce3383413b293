# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""CAPF on this node: starts and stops it as recorded, and retries while it is activated but does not run.

``context.why_stopped`` says why it does not run; the process never ends because of that (P36).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import IO

from capf.model import ConflictError, StoreUnavailableError, words_of
from capf.node import state
from capf.node.node_settings import NodeSettings
from capf.node.ports import Ports
from capf.phone_session.connection import Backend
from capf.phone_session.dialogue import Patience
from capf.phone_session.listener import Limits, Listener
from capf.registry import faults, parameters, service, strings_key
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store

LOG = logging.getLogger(__name__)
_SECONDS_A_MINUTE = 60
LOOK_SECONDS = 5.0
"""Seconds between checks whether CAPF should run but does not, for example because its port was in use."""


class CapfService:
    """Starts and stops CAPF. Code that starts or stops it, or changes its keys, holds the lock ``change``."""

    def __init__(
        self,
        settings: NodeSettings,
        store: Store,
        context: Context,
        backend: Backend,
        descriptors: Callable[[], int],
        *,
        notice: IO[str],
    ) -> None:
        """``descriptors`` returns the number of file descriptors that the CAPF port may use now; ``notice`` is a file
        with the reason why CAPF does not run, for other processes."""
        self.change = asyncio.Lock()
        """The lock for starting and stopping CAPF, and for changing its keys."""
        self._settings = settings
        self._store = store
        self._context = context
        self._backend = backend
        self._descriptors = descriptors
        self._notice = notice
        self._ports = Ports(settings)
        self._listener: Listener | None = None
        self._waits_for = ""
        """Why a restart is delayed; it is logged once."""
        self._generation: int | None = None
        """The number of the activation or restart that started the running service."""
        context.why_not_listen = self._ports.why_not_listen

    @property
    def sessions(self) -> int:
        """The number of connected phones."""
        return 0 if self._listener is None else self._listener.sessions

    async def check(self) -> parameters.InForce:
        """Return the parameters with which CAPF would start now; ConflictError if it cannot."""
        in_force = await self._store.aread(lambda c: faults.check_start(Transaction(c, self._context)))
        obstacles = self._ports.why_not_listen(in_force)
        if obstacles:
            raise ConflictError("; ".join(item.reason for item in obstacles))
        return in_force

    async def accept_key(self, actor: str) -> None:
        """Accept a new strings.key if nothing needs the earlier one; only on the administrator's request."""
        if await self._store.aread(lambda c: strings_key.is_due(Transaction(c, self._context))):
            await self._store.awrite(lambda c: strings_key.accept(Transaction(c, self._context, actor)))

    async def start(self) -> None:
        """Start CAPF with the current parameters unless it runs; ConflictError if it cannot start."""
        if self._listener is not None:
            return
        try:
            await self._start()
        except StoreUnavailableError as error:
            self._stays_stopped(str(error))
            raise
        except Exception as error:
            said = words_of(error)
            self._stays_stopped(said)
            raise ConflictError(said) from error

    def _stays_stopped(self, why: str) -> None:
        if why != self._context.why_stopped:
            LOG.error("event=capf-does-not-run error=%r", why)
        self._say(why)

    def _say(self, why: str) -> None:
        if why == self._context.why_stopped:
            return
        self._context.why_stopped = why
        with contextlib.suppress(OSError):
            self._notice.seek(0)
            self._notice.truncate()
            self._notice.write(why)
            self._notice.flush()

    async def _start(self) -> None:
        in_force = await self.check()
        generation = await self._store.aread(service.generation)
        answer = in_force.number("Keep-Alive Between CAPF And Phone") * _SECONDS_A_MINUTE
        limits = Limits(
            self._settings.maximum_sessions,
            self._settings.maximum_sessions_per_address,
            self._settings.maximum_sessions_per_device,
            self._settings.handshake_seconds,
        )
        directory = state.StateDirectory(self._settings.state_directory)
        tls = state.capf_tls(directory, allow_tls_1_0=self._settings.allow_tls_1_0)
        patience = Patience(self._settings.authentication_seconds, answer)
        listener = Listener(self._backend, tls, limits, patience, self._descriptors)
        addresses, port = self._ports.addresses(in_force), in_force.number(parameters.PORT)
        try:
            await listener.start(addresses, port)
        except OSError as error:
            raise ConflictError(f"CAPF cannot listen on port {port}: {error.strerror}") from error
        self._listener, self._generation = listener, generation
        self._context.running = self._ports.running = in_force
        self._say("")
        LOG.info("event=capf-started addresses=%s port=%d", ",".join(addresses), port)

    async def stop(self) -> None:
        """Stop CAPF after its open sessions have ended, or after the drain time."""
        self._say("")
        if self._listener is None:
            return
        await self._listener.stop(self._settings.drain_seconds)
        self._listener = self._generation = None
        self._context.running = self._ports.running = None
        LOG.info("event=capf-stopped")

    async def follow(self) -> None:
        """Start, restart or stop CAPF as recorded, by another server or by the administrator before a restart.

        If it cannot start with new parameters, it continues to run with the earlier ones.
        """
        async with self.change:
            await self._follow()

    async def _follow(self) -> None:
        generation = await self._store.aread(service.generation)
        if generation is None or not self._context.first_node:
            await self.stop()
            return
        try:
            if self._listener is not None and generation != self._generation:
                await self.check()
                await self.stop()
            await self.start()
            self._waits_for = ""
        except ConflictError as error:
            if self._listener is not None and self._waits_for != str(error):
                self._waits_for = str(error)
                LOG.error("event=restart-waits error=%r", str(error))

    async def keep_running(self) -> None:
        """Check periodically, forever, whether CAPF should run but does not, and try to start it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.follow()
