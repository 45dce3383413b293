"""Joins the sessions to the record: each call is one job of the store's writer, its future done after the commit.

When the record cannot be written, the session ends without a word of it. Its operation is remembered here and given
back as soon as the record takes writes again, so that the phone's own retry goes on and nobody restarts anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import Future
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from sqlalchemy import Connection

from capf.effects import Claim, Granted, Refused
from capf.model import Outcome, StoreUnavailableError
from capf.registry import sessions
from capf.registry.context import Context
from capf.store.engine import Job, Store, T

LOG = logging.getLogger(__name__)
_TRY_AGAIN_SECONDS = 1.0
_SESSION: ContextVar[int] = ContextVar("session", default=0)
"""The session whose task this is, for its lines in the trace."""


def _trace(step: str, operations: Collection[int], done: Future[Any]) -> None:
    """Leave a line of a session's step where the debug trace level is Detailed."""
    result = None if done.cancelled() else done.exception() or done.result()
    if isinstance(result, Granted):
        result = result.operation.value
    elif isinstance(result, bytes):
        result = "certificate issued"
    number = next(iter(operations), 0)
    LOG.debug("session=%08x event=%s operation=%d result=%r", _SESSION.get(), step, number, str(result or "-"))


class RegistryBackend:
    """The ``listener.Backend`` over store and registry."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context
        self._owed: set[int] = set()
        """Operations whose session ended in an error; only the store's writer changes the set, in the order of jobs."""

    def claim(self, claim: Claim) -> Future[Granted | Refused]:
        """Decide and take the operation."""
        _SESSION.set(claim.session_id)
        taken: list[int] = []

        def job(connection: Connection) -> Granted | Refused:
            decision = sessions.claim(connection, self._context, claim)
            taken[:] = [decision.operation_id] if isinstance(decision, Granted) else []
            return decision

        return self._run("claim", job, taken)

    def _run(self, step: str, job: Job[T], operations: Collection[int]) -> Future[T]:
        """Write a step; an operation whose write failed is owed, one that a later session has is not."""

        def settle(error: Exception | None) -> None:
            change = self._owed.difference_update if error is None else self._owed.update
            change(operations)

        done = self._store.start(job, settle)
        if LOG.isEnabledFor(logging.DEBUG):
            done.add_done_callback(partial(_trace, step, operations))
        return done

    def issue(self, operation_id: int, public_key: bytes) -> Future[bytes | None]:
        """Sign and record a certificate."""
        return self._run(
            "issue",
            lambda connection: sessions.issue(connection, self._context, operation_id, public_key),
            [operation_id],
        )

    def confirm(self, operation_id: int) -> Future[None]:
        """Record that the phone did what was asked."""
        return self._run(
            "confirm", lambda connection: sessions.confirm(connection, self._context, operation_id), [operation_id]
        )

    def fetched(self, operation_id: int, certificates: Sequence[tuple[int, bytes]]) -> Future[None]:
        """Record what Troubleshoot brought."""
        return self._run(
            "fetched",
            lambda connection: sessions.fetched(connection, self._context, operation_id, certificates),
            [operation_id],
        )

    def fail(self, operation_id: int, outcome: Outcome, problem: str) -> Future[None]:
        """Record a failure."""
        return self._run(
            f"fail outcome={outcome.value[1]!r}",
            lambda connection: sessions.fail(connection, self._context, operation_id, outcome, problem),
            [operation_id],
        )

    def lost(self, operation_id: int) -> Future[None]:
        """Record a lost session."""
        return self._run(
            "lost", lambda connection: sessions.lost(connection, self._context, operation_id), [operation_id]
        )

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

        return await self._run("give back", job, owed)
