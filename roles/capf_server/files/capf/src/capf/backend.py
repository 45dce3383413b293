"""Joins the sessions to the record: each call is one job of the store's writer.

When the record cannot be written, the session ends without a word of it. Its operation is remembered here and given
back as soon as the record takes writes again, so that the phone's own retry goes on and nobody restarts anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Any

from sqlalchemy import Connection

from capf.effects import Claim, Granted, Refused
from capf.model import Outcome, StoreUnavailableError
from capf.registry import sessions
from capf.registry.context import Context
from capf.store.engine import Job, Store, T

LOG = logging.getLogger(__name__)
_TRY_AGAIN_SECONDS = 1.0


class RegistryBackend:
    """The ``listener.Backend`` over store and registry."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context
        self._owed: set[int] = set()
        """Operations whose session ended in an error; only the store's writer changes the set, in the order of jobs."""

    async def claim(self, claim: Claim) -> Granted | Refused:
        """Decide and take the operation."""
        taken: list[int] = []

        def job(connection: Connection) -> Granted | Refused:
            decision = sessions.claim(connection, self._context, claim)
            if isinstance(decision, Granted):
                taken.append(decision.operation_id)
            return decision

        try:
            return await self._run(job, taken)
        except asyncio.CancelledError:
            self._store.submit(lambda _unused: self._owed.update(taken))
            raise

    async def _run(self, job: Job[T], operations: Collection[int]) -> T:
        """Write; an operation whose write failed is owed, one that a later session has is not."""

        def settle(done: Future[Any]) -> None:
            change = self._owed.difference_update if done.exception() is None else self._owed.update
            change(operations)

        return await self._store.awrite(job, settle)

    async def issue(self, operation_id: int, public_key: bytes) -> bytes | None:
        """Sign and record a certificate."""
        return await self._run(
            lambda connection: sessions.issue(connection, self._context, operation_id, public_key), [operation_id]
        )

    async def confirm(self, operation_id: int) -> None:
        """Record that the phone did what was asked."""
        await self._run(lambda connection: sessions.confirm(connection, self._context, operation_id), [operation_id])

    async def fetched(self, operation_id: int, certificates: Sequence[tuple[int, bytes]]) -> None:
        """Record what Troubleshoot brought."""
        await self._run(
            lambda connection: sessions.fetched(connection, self._context, operation_id, certificates), [operation_id]
        )

    async def fail(self, operation_id: int, outcome: Outcome, problem: str) -> None:
        """Record a failure."""
        await self._run(
            lambda connection: sessions.fail(connection, self._context, operation_id, outcome, problem), [operation_id]
        )

    async def lost(self, operation_id: int) -> None:
        """Record a lost session."""
        await self._run(lambda connection: sessions.lost(connection, self._context, operation_id), [operation_id])

    async def give_back_forever(self) -> None:
        """Give operations back whose session could not do it, once the record takes writes again."""
        while True:
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
            if self._owed:
                with contextlib.suppress(StoreUnavailableError):
                    LOG.info("event=given-back operations=%d", await self._give_back())

    async def _give_back(self) -> int:
        owed: set[int] = set()

        def job(connection: Connection) -> int:
            owed.update(self._owed)
            return sessions.give_back(connection, self._context, owed)

        return await self._run(job, owed)
