# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the rolling rollouts: observes, lets the policy decide, records, resets phones (R16, R18, P70).

Everything that was decided is on record before it is done, so another server, or this one after a crash, goes on from
the record. Of several servers with one database, one leads a rollout at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from capf.administration.node import Node
from capf.administration.publishing import publish_before_reset
from capf.administration.registration_command import RegistrationCheck
from capf.administration.requests import change, read
from capf.administration.rollout_lead import Lead
from capf.cluster.delivery import Credentials
from capf.model import CapfError, StoreUnavailableError, words_of
from capf.registry.rollout import rolling
from capf.registry.transaction import SERVER
from capf.store import rolling_rows
from capf.store.schema import RolloutRow

LOG = logging.getLogger(__name__)
_ROUND_SECONDS = 1.0
_NOBODY = Credentials("", "")


class RolloutRunner:
    """The rollouts that this server runs."""

    def __init__(self, node: Node, check: RegistrationCheck) -> None:
        """``check``: how the server learns which phones are registered."""
        self._node = node
        self._check = check
        self._lead = Lead(node)
        self._running: set[int] = set()
        self._credentials: dict[int, Credentials] = {}
        self._seen: dict[str, int] = {}
        self._resetting: dict[int, set[str]] = {}
        self._asked_at: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def watched(self, rollout_id: int, credentials: Credentials) -> None:
        """Keep the credentials of the run that watches a rollout, in memory, to publish files to subscribers."""
        self._credentials[rollout_id] = credentials

    def seen(self, device_name: str) -> None:
        """Note that a phone was seen: it fetched its configuration file."""
        if self._running:
            self._seen[device_name] = self._node.context.now

    async def run(self) -> None:
        """Run a round every second, forever; without a running rollout, a round is one small query."""
        while True:
            try:
                await self._round()
            except StoreUnavailableError as error:
                LOG.debug("event=rollouts-unseen error=%r", str(error))
            await asyncio.sleep(_ROUND_SECONDS)

    async def _round(self) -> None:
        found = await read(self._node, lambda tx: rolling_rows.running(tx.connection))
        self._running = {rollout.id for rollout in found}
        for known in (self._credentials, self._asked_at):
            for rollout_id in [item for item in known if item not in self._running]:
                del known[rollout_id]
        for rollout in found:
            if await self._lead.leads(rollout):
                await self._advance(rollout)
        self._seen.clear()

    async def _advance(self, rollout: RolloutRow) -> None:
        """Observe, decide and record; then begin what the record says."""
        node, registration = self._node, bool(self._check.command)
        seen = dict(self._seen)
        if seen:
            await change(
                node, lambda tx: rolling_rows.mark_seen(tx.connection, rollout.id, seen), SERVER, dry_run=False
            )
        decision = await read(node, lambda tx: rolling.look(tx, rollout, registration=registration))
        if rolling.Step(decision).changes:
            made = await change(
                node, lambda tx: rolling.step(tx, rollout, registration=registration), SERVER, dry_run=False
            )
            _log(rollout, made)
        if registration:
            await self._ask(rollout)
        await self._reset(rollout)

    async def _reset(self, rollout: RolloutRow) -> None:
        active = self._resetting.setdefault(rollout.id, set())
        due = await read(self._node, lambda tx: rolling.to_reset(tx, rollout))
        names = [name for name in due if name not in active]
        if names:
            active.update(names)
            self._begin(self._reset_these(rollout, names))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reset_these(self, rollout: RolloutRow, names: Sequence[str]) -> None:
        """Publish the files of phones and reset them; a problem that concerns all of them pauses the rollout."""
        try:
            credentials = self._credentials.get(rollout.id, _NOBODY)
            await publish_before_reset(self._node, names, credentials, SERVER)
            self._node.resetter.check()
            await self._record(lambda tx: rolling.begin_reset(tx, rollout, names))
            faults = await self._node.resetter.reset(names, lambda: rollout.id in self._running)
            await self._record(lambda tx: rolling.end_reset(tx, rollout, names, faults))
            _log_faults(rollout, faults)
        except (CapfError, OSError) as error:
            problem = words_of(error)
            LOG.error("event=not-reset rollout=%r phones=%d error=%r", rollout.name, len(names), problem)
            await self._record(lambda tx: rolling.pause(tx, rollout, f"phones cannot be reset: {problem}"))
        finally:
            self._resetting[rollout.id].difference_update(names)

    async def _ask(self, rollout: RolloutRow) -> None:
        """Ask whether phones with their LSC are registered, unless a check was made recently."""
        now = asyncio.get_running_loop().time()
        if now < self._asked_at.get(rollout.id, 0):
            return
        names = await read(self._node, lambda tx: rolling_rows.awaiting_registration(tx.connection, rollout.id))
        if names:
            self._asked_at[rollout.id] = float("inf")
            self._begin(self._ask_about(rollout, names))

    async def _ask_about(self, rollout: RolloutRow, names: Sequence[str]) -> None:
        try:
            found = await self._check.registered(names)
            if found:
                await self._record(lambda tx: rolling.register(tx, rollout, found))
        finally:
            self._asked_at[rollout.id] = asyncio.get_running_loop().time() + self._check.interval

    async def _record(self, rule: Any) -> None:
        """Record what has happened, as soon as the database can be used."""
        while True:
            try:
                await change(self._node, rule, SERVER, dry_run=False)
                return
            except StoreUnavailableError:
                await asyncio.sleep(_ROUND_SECONDS)


def _log(rollout: RolloutRow, made: rolling.Step) -> None:
    decision = made.decision
    LOG.info(
        "event=rollout rollout=%r ended=%d admitted=%d pause=%r state=%r",
        rollout.name, len(decision.ended), len(decision.admit), decision.pause, decision.state,
    )  # fmt: skip


def _log_faults(rollout: RolloutRow, faults: Mapping[str, str]) -> None:
    for fault in sorted(set(faults.values())):
        LOG.error("event=reset-failed rollout=%r error=%r", rollout.name, fault)
