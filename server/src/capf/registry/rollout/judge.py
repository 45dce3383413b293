# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a wave: records the verdict, and switches the security mode of phones that become secure (R9, R10, R16)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError, State
from capf.registry import parts, phones
from capf.registry.parts import NOT_REGISTERED, WITHOUT_LSC, Part
from capf.registry.rollout import advice, lease, retries, verdict, waves
from capf.registry.rollout.causes import Causes
from capf.registry.rollout.settings import from_record
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rollout_rows
from capf.store.rollout_rows import MemberRow
from capf.store.schema import RolloutRow


def judge(tx: Transaction, run: lease.Run, number: int, not_registered: Collection[str]) -> dict[str, Any]:
    """Judge a wave: stop the rollout if too many of its phones are not done, and switch security modes (R9, R10).

    The mode is only changed for phones that have their LSC: without an LSC, such a phone could not register.

    ``not_registered``: phones of the wave that are not registered with call processing; only those with an LSC count.
    The verdict is recorded, and a retry never stops the rollout.
    """
    rollout = lease.running(tx, run)
    wave = waves.started(tx.connection, rollout, number)
    if wave.judged_at is not None:
        raise ConflictError(f"wave {number} of the rollout {run.name!r} has been judged")
    rollout_rows.change_wave(tx.connection, rollout.id, number, judged_at=tx.now)
    _note(tx.connection, rollout, number, not_registered)
    members = rollout_rows.members(tx.connection, rollout.id, number)
    counted = Counter(map(parts.of, members))
    counts = parts.show(counted)
    given = verdict.record(tx, rollout, wave, counted, from_record(rollout_rows.settings_of(rollout)))
    switched = _switch(tx, members)
    problem = f"wave {number} {given.words}" if given.stopped else ""
    if given.stopped:
        lease.close(tx, rollout, rollout_rows.STOPPED, problem)
    failing = [_line(row) for row in members if parts.of(row) not in (Part.DONE, Part.SKIPPED)]
    shown = {"judged": given.judged, "allowed": given.allowed, "stopped": given.stopped, "judgement": given.words}
    causes = Causes()
    for row in members:
        causes.add(row, parts.of(row))
    return {
        "counts": counts, **shown, "problem": problem, "failing": failing, "lines": causes.lines(), "switched": switched
    }  # fmt: skip


def _note(connection: Connection, rollout: RolloutRow, number: int, not_registered: Collection[str]) -> None:
    """Note why phones count as failed although their operation is done."""
    members = rollout_rows.members(connection, rollout.id, number)
    done = {row.device_name for row in members if row.state == State.DONE}
    without = done - certificate_rows.active(connection, sorted(done)).keys()
    missing = done.intersection(not_registered) - without
    for names, note in ((missing, NOT_REGISTERED), (without, WITHOUT_LSC)):
        rollout_rows.change_members(connection, rollout.id, sorted(names), note=note)


def _line(row: MemberRow) -> dict[str, str]:
    return {
        "device_name": row.device_name,
        "part": parts.of(row),
        "status": parts.status_of(row),
        "problem": row.problem or "",
        "advice": advice.of(row),
    }


def _switch(tx: Transaction, members: Sequence[MemberRow]) -> list[str]:
    """Switch phones that have their LSC to their new Device Security Mode, and return the switched ones."""
    wanted = [
        {"device_name": row.device_name, "device_security_mode": row.security_mode_after}
        for row in members
        if parts.of(row) is Part.DONE and retries.owes_mode(row)
    ]
    changes = phones.ensure(tx, wanted, "present")
    return [change.name for change in changes.results]
