# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Aborting a rollout (R16)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from capf.model import Operation, counted
from capf.registry import lifecycle, schedule
from capf.registry.rollout import lease, show
from capf.registry.transaction import Transaction
from capf.store import rollout_rows

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Aborted:
    """What an abort did: whether the rollout was running, the cancelled phones, and those left in a session."""

    rollout_id: int
    changed: bool
    cancelled: list[str] = field(default_factory=list)
    in_session: list[str] = field(default_factory=list)


def abort(tx: Transaction, name: str, rollout_id: int | None = None) -> Aborted:
    """End a running rollout, the latest with its name unless its id is given, and cancel its operations.

    Operations that were refused before are cancelled, too. Phones in a session may finish it, but are not retried.

    ConflictError if the rollout does not exist; nothing changes if it has ended.
    """
    rollout = show.find(tx.connection, name, rollout_id)
    if not lease.close(tx, rollout, rollout_rows.ABORTED, f"aborted by {tx.actor}"):
        return Aborted(rollout.id, changed=False)
    is_open = [row for row in rollout_rows.members(tx.connection, rollout.id) if lifecycle.is_open(row)]
    waiting = [row.device_name for row in is_open if not lifecycle.in_session(row)]
    in_session = [row.device_name for row in is_open if lifecycle.in_session(row)]
    if waiting:
        items = [schedule.RequestedPhone(device_name) for device_name in waiting]
        schedule.schedule(tx, schedule.OperationRequest(Operation.NONE, items))
    rollout_rows.give_no_more_time(tx.connection, rollout.id, tx.now)
    return Aborted(rollout.id, True, waiting, in_session)


def words(connection: Connection, done: Aborted, *, dry_run: bool) -> str:
    """Return a sentence about the aborted rollout, with the changes that were or would be made."""
    rollout = rollout_rows.by_id(connection, done.rollout_id)
    assert rollout is not None  # noqa: S101 - rollouts stay on record
    if not done.changed:
        return f"{lease.ending(rollout)}; there is nothing to abort"
    reported = f"the rollout {rollout.name!r} would be aborted" if dry_run else lease.ending(rollout)
    cancelled = f"{counted(len(done.cancelled), 'operation')} cancelled"
    if not done.in_session:
        return f"{reported}: {cancelled}"
    more = ", ..." if len(done.in_session) > _NAMED else ""
    named = ", ".join(done.in_session[:_NAMED]) + more
    return f"{reported}: {cancelled}, {counted(len(done.in_session), 'phone')} left to finish the session: {named}"
