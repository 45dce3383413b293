# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a server in step with the others of its database: it takes over from a dead one, and follows all requests.

Together, the servers of one database form the first node (R13): they have one CAPF certificate and one activation. A
request to one of them takes effect on all of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from capf.model import CapfError, StoreUnavailableError
from capf.registry import heartbeats
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store

LOG = logging.getLogger(__name__)
_ROUND_SECONDS = 5.0


class OtherServers:
    """The periodic rounds of one server; ``follow`` makes it follow the record."""

    def __init__(self, store: Store, context: Context, follow: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._context = context
        self._follow = follow
        self._watch = heartbeats.Watch()
        self._sees = True

    async def run(self) -> None:
        """Run rounds forever; a database that cannot be shared needs none."""
        while self._store.can_be_shared:
            try:
                await self._round()
                self._sees = True
            except StoreUnavailableError as error:
                self._watch.forget()
                if self._sees:
                    LOG.warning("event=servers-unseen error=%r", str(error))
                self._sees = False
            except (CapfError, OSError) as error:
                LOG.error("event=not-in-step error=%r", str(error))
            await asyncio.sleep(_ROUND_SECONDS)

    async def _round(self) -> None:
        store, context = self._store, self._context
        await store.awrite(lambda c: heartbeats.beat(Transaction(c, context), str(context.clock())))
        found = await store.aread(lambda c: heartbeats.of_others(Transaction(c, context)))
        silent = self._watch.silent(found, time.monotonic())
        if silent:
            count = await store.awrite(lambda c: heartbeats.take_over(Transaction(c, context), silent))
            names = ",".join(holder.split()[-1] for holder in silent)
            LOG.warning("event=taken-over operations=%d from=%s", count, names)
        await self._follow()
