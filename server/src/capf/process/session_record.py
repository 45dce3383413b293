# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connects the sessions to the record: each call is a job of the store's writer, its future done after the commit.

If the record cannot be written, the session ends without a trace in it. Its operation is remembered here and released
as soon as the record can be written again, so that the phone's own retry continues and nobody has to restart anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import Future
from collections.abc import Collection
from contextvars import ContextVar
from functools import partial
from typing import Any

from sqlalchemy import Connection

from capf.model import StoreUnavailableError
from capf.phone_session.effects import Cause, Claim, Fail, Granted, Hold, Issued, RecordEffect, RecordReply, Refused
from capf.phone_session.wire import Reason
from capf.process.refusal_counter import Refusals
from capf.registry import guessing, refusals, sessions
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Job, Store, T

LOG = logging.getLogger(__name__)
_TRY_AGAIN_SECONDS = 1.0
_GATHER_SECONDS = 0.25
"""Seconds during which refusals are collected for one write, so that nobody can force a commit per message."""
_KEEP_SECONDS = 60.0
_SESSION: ContextVar[int] = ContextVar("session", default=0)
"""The session whose task this is, for its lines in the trace."""


def _trace(step: str, holds: Collection[Hold], done: Future[Any]) -> None:
    """Log a step of a session if the debug trace level is Detailed."""
    result = None if done.cancelled() else done.exception() or done.result()
    if isinstance(result, Granted):
        result = result.operation.value
    elif isinstance(result, Issued):
        result = "certificate issued"
    number = next((hold.operation_id for hold in holds), 0)
    LOG.debug("session=%08x event=%s operation=%d result=%r", _SESSION.get(), step, number, str(result or "-"))


def _name(effect: RecordEffect) -> str:
    """Return the name of the effect in a trace line."""
    name = type(effect).__name__.lower()
    return f"{name} outcome={str(effect.outcome.value)!r}" if isinstance(effect, Fail) else name


class RegistryBackend:
    """The ``connection.Backend`` that uses store and registry."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context
        self.refusals = Refusals()
        self._owed: set[Hold] = set()
        """Operations of sessions that ended in an error; only the store's writer changes the set, in the order of its
        jobs."""

    def perform(self, effect: RecordEffect) -> Future[RecordReply]:
        """Carry out a session's request to the record."""
        if isinstance(effect, Claim):
            _SESSION.set(effect.session_id)
        holds = [] if isinstance(effect, Claim) else [effect.hold]

        def job(connection: Connection) -> RecordReply:
            reply = sessions.perform(Transaction(connection, self._context), effect)
            if isinstance(effect, Claim):
                holds[:] = [reply.hold] if isinstance(reply, Granted) else []
            return reply

        done = self._run(_name(effect), job, holds)
        if isinstance(effect, Claim):
            done.add_done_callback(partial(self._count, effect.peer))
        return done

    def _count(self, peer: str, done: Future[RecordReply]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        reply = done.result()
        if isinstance(reply, Refused):
            self.refusals.note(reply, peer, self._context.now)

    def refuse(self, cause: Cause) -> Refused:
        """Count and return the refusal of a phone without asking the record."""
        refused = Refused(Reason.REJECTED, cause=cause)
        self.refusals.note(refused, "", self._context.now)
        return refused

    def _run(self, step: str, job: Job[T], holds: Collection[Hold]) -> Future[T]:
        """Write a step; if that fails, the operation must be released later, unless a later session has it."""

        def settle(error: Exception | None) -> None:
            change = self._owed.difference_update if error is None else self._owed.update
            change(holds)

        done = self._store.start(job, settle)
        if LOG.isEnabledFor(logging.DEBUG):
            done.add_done_callback(partial(_trace, step, holds))
        return done

    async def give_back_forever(self) -> None:
        """Release operations whose session could not do it, once the record can be written again."""
        while True:
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
            if self._owed:
                with contextlib.suppress(StoreUnavailableError):
                    LOG.info("event=given-back operations=%d", await self._give_back())

    async def keep_guesses_forever(self) -> None:
        """Keep the records of wrong strings correct and small."""
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            with contextlib.suppress(StoreUnavailableError):
                if await self._store.aread(guessing.any_on_record):
                    await self._store.awrite(lambda connection: guessing.keep(Transaction(connection, self._context)))

    async def _give_back(self) -> int:
        owed: set[Hold] = set()

        def job(connection: Connection) -> int:
            owed.update(self._owed)
            return sessions.give_back(Transaction(connection, self._context), owed)

        return await self._run("give back", job, owed)

    async def count_refusals_forever(self) -> None:
        """Record refusals, all of a short period in one write."""
        while True:
            await self.refusals.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            try:
                await self.count_refusals()
            except StoreUnavailableError:
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def count_refusals(self) -> None:
        """Record the collected refusals; those that cannot be written stay for the next time."""
        gathered = self.refusals.take()
        try:
            if gathered:
                await self._store.awrite(
                    lambda connection: refusals.write(Transaction(connection, self._context), gathered)
                )
        except StoreUnavailableError:
            self.refusals.put_back(gathered)
            raise
