# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running rolling rollout at a glance: one line of numbers, and why it is paused."""

from __future__ import annotations

from collections import Counter
from typing import Any

from capf.registry import moment, parts
from capf.registry.parts import Part
from capf.registry.rollout import lease, show
from capf.registry.rollout.causes import Causes
from capf.registry.rollout.expected_end import expected_end
from capf.registry.transaction import Transaction
from capf.store import rolling_rows, rollout_rows
from capf.store.schema import RolloutRow

_RATE_SECONDS = 60


def now(tx: Transaction, rollout: RolloutRow) -> dict[str, Any]:
    """Return the rollout's numbers and the line that shows them; ``lines`` say who failed and what to do, if paused."""
    counted: Counter[Part] = Counter()
    for row in rollout_rows.count_alike(tx.connection, [rollout.id]):
        counted[parts.of(row)] += row.number
    counts = parts.show(counted)
    paused = rollout.paused_at is not None and rollout.state == rollout_rows.RUNNING
    rate = _phones_a_minute(tx, rollout)
    end = expected_end(tx, rollout) if rollout.state == rollout_rows.RUNNING else None
    return {
        "state": rollout.state,
        "ended": rollout.state != rollout_rows.RUNNING,
        "paused": paused,
        "problem": rollout.pause if paused else rollout.problem,
        "counts": counts,
        "waiting_for_string": rolling_rows.count_waiting_for_string(tx.connection, rollout.id),
        "phones_a_minute": rate,
        "expected_end": moment.show(end),
        "line": _line(rollout, counts, rate, end),
        "lines": _causes(tx, rollout) if paused else [],
        "since": str(rollout.changes),
    }


def of_run(tx: Transaction, run: lease.Run) -> dict[str, Any]:
    """Return ``now`` of the rollout that a run watches; ConflictError says who aborted it and when."""
    rollout = show.find(tx.connection, run.name, run.rollout_id)
    if rollout.state == rollout_rows.ABORTED:
        lease.of_run(tx.connection, run.name, run.rollout_id)
    return now(tx, rollout)


def has_changed(tx: Transaction, run: lease.Run, since: str | None) -> bool:
    """True if there is something else to show than at ``since``, or if the rollout does not run or is paused."""
    rollout = lease.named(tx.connection, run.name, run.rollout_id)
    is_over = rollout.state != rollout_rows.RUNNING or rollout.paused_at is not None
    return is_over or str(rollout.changes) != since


def _phones_a_minute(tx: Transaction, rollout: RolloutRow) -> float:
    since = min(_RATE_SECONDS, max(1, tx.now - (rollout.watched_at or tx.now)))
    return round(rolling_rows.done_recently(tx.connection, rollout.id, tx.now - since) * 60 / since, 1)


def _line(rollout: RolloutRow, counts: dict[str, int], rate: float, end: int | None) -> str:
    numbers = ", ".join(f"{counts[part.key]:,} {part}" for part in Part if counts[part.key] or part is Part.DONE)
    if rollout.state != rollout_rows.RUNNING:
        return numbers
    speed = f"{numbers}, {rate:g} per minute"
    if rollout.paused_at is not None:
        return f"{speed}; paused: {rollout.pause}"
    return f"{speed}, expected to end at {str(moment.show(end))[11:16]}" if end is not None else speed


def _causes(tx: Transaction, rollout: RolloutRow) -> list[str]:
    """Return the phones that are not done by cause, for people."""
    causes = Causes()
    for row in rollout_rows.each_member(tx.connection, rollout.id, "device_pool"):
        if row.judged_at is not None:
            causes.add(row, parts.of(row))
    return causes.lines()
