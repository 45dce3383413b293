# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the node is ready. The server itself checks it every few seconds, never because of a request.

Anybody may ask, without a login, so an answer must not cost a query.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from capf.model import CapfError
from capf.registry import health
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store

_EVERY_SECONDS = 2.0
MAXIMUM_AGE_SECONDS = 5.0
UNANSWERED = "the database does not answer"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The problem, and the time of the check by the event loop's clock."""

    found: health.NodeHealth
    at: float


class Readiness:
    """The result of the last check."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context
        self._state: CheckResult | None = None
        self._seen = asyncio.Condition()

    async def run(self) -> None:
        """Check periodically, forever."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """Look now."""
        found = await self._look()
        async with self._seen:
            self._state = CheckResult(found, asyncio.get_running_loop().time())
            self._seen.notify_all()

    async def seen(self) -> health.NodeHealth:
        """Return the problem found at most five seconds ago; a check that takes as long is a problem itself."""
        try:
            async with asyncio.timeout(MAXIMUM_AGE_SECONDS), self._seen:
                while (state := self._state) is None or _age(state) > MAXIMUM_AGE_SECONDS:
                    await self._seen.wait()
        except TimeoutError:
            return health.NodeHealth([UNANSWERED], health.warnings(self._context))
        return state.found

    async def _look(self) -> health.NodeHealth:
        """Return why phones cannot be served: the database is not writable, or CAPF does not run."""
        try:
            await self._store.awrite(lambda connection: health.probe(Transaction(connection, self._context)))
            return await self._store.aread(lambda connection: health.readiness(Transaction(connection, self._context)))
        except CapfError as error:
            return health.NodeHealth([str(error)], health.warnings(self._context))


def _age(state: CheckResult) -> float:
    return asyncio.get_running_loop().time() - state.at
