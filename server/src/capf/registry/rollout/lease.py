# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lead of a rollout, which one run has at a time until it is interrupted, and the end of a rollout (R18).

A run looks up a rollout once, when it begins or resumes it, and uses its id from then on, so that it never acts on a
different rollout with the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from capf.model import ConflictError
from capf.registry import lifecycle, moment
from capf.registry.context import Context
from capf.registry.transaction import SERVER, Transaction
from capf.store import rollout_rows
from capf.store.schema import RolloutRow

SECONDS = 120
"""Seconds without a heartbeat after which a run counts as interrupted, and another one may resume."""
LED_BY_ANOTHER = "led_by_another"
"""The API's code for a run that may wait until it can resume the rollout."""
_ENDED = {rollout_rows.ABORTED: "was aborted", rollout_rows.STOPPED: "was stopped", rollout_rows.DONE: "is done"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run that leads a rollout: the rollout's name, its id as the run saw it, and the run's own name."""

    name: str
    rollout_id: int
    runner: str


def resume(
    tx: Transaction, name: str, runner: str, *, rollout_id: int | None = None, by_force: bool = False
) -> RolloutRow | None:
    """Resume and return the running rollout with this name, None if there is none (one whose window is over is closed).

    ``rollout_id``: the rollout that the run has waited for; no other one is resumed. ConflictError while another run
    leads it, unless ``by_force``, and if the rollout that the run has waited for has ended.
    """
    rollout = _running(tx.connection, name) if rollout_id is None else of_run(tx.connection, name, rollout_id)
    if rollout is None:
        return None
    if not by_force:
        _hold(tx, rollout, runner)
    if rollout.ends_at is None or rollout.ends_at > tx.now:
        return rollout
    problem = "the window was over before all waves were done"
    if rollout_id is not None:
        reported = f"the rollout {name!r} cannot be resumed: {problem}"
        raise ConflictError(reported, f"rollout_{rollout_rows.STOPPED}", rollout_id=rollout_id)
    close(tx.by(SERVER), rollout, rollout_rows.STOPPED, problem)
    return None


def done_while_waiting(connection: Connection, name: str, rollout_id: int) -> str:
    """Return the message for a run if the rollout that it waited for is done, empty while that is running.

    ConflictError says who aborted or stopped it; then the run ends and begins no rollout.
    """
    rollout = named(connection, name, rollout_id)
    if rollout.state == rollout_rows.RUNNING:
        return ""
    if rollout.state != rollout_rows.DONE:
        raise _ended(rollout)
    return f"{ending(rollout)}; run the same command again for phones that were not part of it"


def led_by_another(tx: Transaction, name: str, runner: str) -> list[str]:
    """Return a warning if another run leads the rollout, so that this one could not resume it."""
    rollout = _running(tx.connection, name)
    return [] if rollout is None else _other_run(tx.context, rollout, runner)


def named(connection: Connection, name: str, rollout_id: int) -> RolloutRow:
    """Return the rollout with this id and name; ConflictError if it does not exist."""
    rollout = rollout_rows.by_id(connection, rollout_id)
    if rollout is None or rollout.name != name:
        raise ConflictError(f"no rollout {name!r} has the id {rollout_id}")
    return rollout


def _running(connection: Connection, name: str) -> RolloutRow | None:
    rollout = rollout_rows.latest(connection, name)
    return rollout if rollout is not None and rollout.state == rollout_rows.RUNNING else None


def _is_led(context: Context, rollout: RolloutRow) -> bool:
    ago: int = context.now - rollout.seen_at
    return 0 <= ago < SECONDS


def _other_run(context: Context, rollout: RolloutRow, runner: str) -> list[str]:
    if rollout.runner == runner or not _is_led(context, rollout):
        return []
    return [
        f"another run of the rollout {rollout.name!r} was active {context.now - rollout.seen_at} s ago;"
        f" it can be resumed {SECONDS} s after its last heartbeat"
    ]


def is_attended(tx: Transaction, rollout: RolloutRow, *, unattended: bool) -> bool:
    """True if phones may be admitted: a run watches the rollout now, or has done so once and it may go on without.

    Before its first watch, the run that began the rollout makes its backup.
    """
    if rollout.watched_at is None:
        return False
    return unattended or _is_led(tx.context, rollout)


def watch(tx: Transaction, run: Run) -> RolloutRow:
    """Note that this run watches the rollout that it leads, and return it; ConflictError as for ``running``."""
    rollout = running(tx, run)
    if rollout.watched_at is None:
        rollout_rows.set_watched(tx.connection, rollout.id, tx.now)
    return rollout


def of_run(connection: Connection, name: str, rollout_id: int) -> RolloutRow:
    """Return the rollout that a run leads, or led; ConflictError says who ended it and when."""
    rollout = named(connection, name, rollout_id)
    if rollout.state != rollout_rows.RUNNING:
        raise _ended(rollout)
    return rollout


def running(tx: Transaction, run: Run) -> RolloutRow:
    """Return the running rollout that this run leads; ConflictError if it has ended, or another run leads it."""
    rollout = of_run(tx.connection, run.name, run.rollout_id)
    _hold(tx, rollout, run.runner)
    return rollout


def release(tx: Transaction, run: Run) -> bool:
    """Let the next run resume the rollout at once; return False and change nothing unless this run leads it."""
    rollout = named(tx.connection, run.name, run.rollout_id)
    if rollout.runner != run.runner or not _is_led(tx.context, rollout):
        return False
    return rollout_rows.lead(tx.connection, rollout, seen_at=tx.now - SECONDS)


def _hold(tx: Transaction, rollout: RolloutRow, runner: str) -> None:
    """Send a heartbeat, or take the lead; ConflictError if another run leads the rollout, or was quicker."""
    while True:
        for problem in _other_run(tx.context, rollout, runner):
            raise ConflictError(problem, LED_BY_ANOTHER, rollout_id=rollout.id)
        if rollout_rows.lead(tx.connection, rollout, runner=runner, seen_at=tx.now):
            return
        rollout = of_run(tx.connection, rollout.name, rollout.id)


def close(tx: Transaction, rollout: RolloutRow, state: str, problem: str) -> bool:
    """End a rollout, with its audit row; return False and do nothing if it has already ended.

    Operations that were refused end with the status of their last refusal; an abort cancels them instead.
    """
    values = {"problem": problem, "ended_at": tx.now, "ended_by": tx.actor}
    if not rollout_rows.end(tx.connection, rollout.id, state, **values):
        return False
    detail = {"rollout": rollout.name, "problem": problem}
    tx.audit(f"rollout {state}", **detail)
    if state != rollout_rows.ABORTED:
        members = rollout_rows.members(tx.connection, rollout.id)
        refused = [row.operation_id for row in members if row.refusals and row.operation_id is not None]
        lifecycle.end_refused(tx, refused)
    return True


def _ended(rollout: RolloutRow) -> ConflictError:
    return ConflictError(ending(rollout), f"rollout_{rollout.state}", rollout_id=rollout.id)


def ending(rollout: RolloutRow) -> str:
    """Return how a rollout ended: who aborted it and when, what stopped it, or that it is done."""
    by = f" by {rollout.ended_by}" if rollout.state == rollout_rows.ABORTED and rollout.ended_by else ""
    why = f": {rollout.problem}" if rollout.state == rollout_rows.STOPPED else ""
    return f"the rollout {rollout.name!r} {_ENDED[rollout.state]}{by} at {moment.show(rollout.ended_at)}{why}"
