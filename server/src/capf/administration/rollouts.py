# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Begins and aborts rollouts: several rules in one transaction (R16, R18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from capf.administration import requests
from capf.administration.node import Node
from capf.administration.registration import Listed, register_for_rollout
from capf.model import ConflictError, InvalidRequestError, Problem
from capf.registry import search
from capf.registry.changes import Changes
from capf.registry.phone_fields import NAME
from capf.registry.rollout import abort, begin, lease, live, plan, rolling, show, summary, waves
from capf.registry.rollout.settings import ROLLING
from capf.registry.search import Criterion
from capf.registry.transaction import Transaction
from capf.store.rollout_rows import RUNNING
from capf.store.schema import RolloutRow


@dataclass(frozen=True, slots=True)
class Selection:
    """The phones of a rollout: exactly one of a list to register, names, and criteria."""

    listed: Sequence[Listed] | None = None
    names: Sequence[str] | None = None
    criteria: Sequence[Criterion] | None = None

    def check(self) -> None:
        """Raise InvalidRequestError unless exactly one is given."""
        if sum(item is not None for item in (self.listed, self.names, self.criteria)) != 1:
            raise InvalidRequestError([Problem("phones", "", "give exactly one of phones, names and criteria")])


def state(tx: Transaction, name: str, rollout_id: int | None = None) -> dict[str, Any]:
    """Return the numbers of a rollout and the progress of its wave; without an id, of the latest one of this name."""
    pace = waves.current(tx, show.find(tx.connection, name, rollout_id))
    return {**show.state(tx.connection, name, rollout_id), "progress": None if pace is None else pace._asdict()}


def begin_rollout(
    tx: Transaction, selection: Selection, request: plan.RolloutRequest, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Register the given phones and begin a rollout for those that need an LSC, or resume the running one.

    The phones of ``request`` are those of the selection; ``notes`` become warnings of the plan.
    """
    name, rollout_id = request.name, request.rollout_id
    made, changes = None if rollout_id is None else begin.nothing_left(tx, name, rollout_id), None
    shown = made is not None
    if made is None:
        names, changes = _select(tx, selection)
        made = begin.begin(tx, replace(request, phones=names))
    made = replace(made, warnings=[*made.warnings, *notes])
    begun = bool(made.waves) and not made.resumed
    rollout = state(tx, name, rollout_id) if begun or made.resumed or shown else None
    resumed = rollout["words"] if rollout and made.resumed else ""
    return {
        "changed": begun or bool(changes and changes.changed),
        "begun": begun,
        "resumed": made.resumed,
        "registered": changes.counts if changes else {},
        "plan": {**plan.show(made, tx.now), "lines": summary.plan_lines(name, made, resumed)},
        "rollout": rollout,
        "summary": rollout["summary"] if rollout else summary.of_nothing(tx.connection, name, made),
    }


def _select(tx: Transaction, selection: Selection) -> tuple[list[str], Changes | None]:
    """Return the device names of the rollout: registered by this request, named, or found by criteria."""
    selection.check()
    if selection.listed is not None:
        changes = register_for_rollout(tx, selection.listed)
        return [str(phone[NAME]) for phone in selection.listed], changes
    if selection.names is not None:
        return list(selection.names), None
    found = search.found(tx, selection.criteria or (), search.Page(), strings=False)
    return [phone[NAME] for phone in found], None


async def watch(node: Node, run: lease.Run, since: str | None, seconds: float, actor: str) -> dict[str, Any]:
    """Send the run's heartbeat; return the rollout's numbers once they differ from those at ``since``.

    It answers after ``seconds`` at the latest, and at once if the rollout is paused or does not run. ConflictError if
    it was aborted, or another run leads it.
    """
    if await requests.read(node, lambda tx: lease.named(tx.connection, run.name, run.rollout_id).state == RUNNING):
        await requests.change(node, lambda tx: lease.watch(tx, run), actor, dry_run=False)
        await requests.until_ended(node, lambda tx: {"ended": live.has_changed(tx, run, since)}, seconds)
    return await requests.read(node, lambda tx: live.of_run(tx, run))


def pause_rollout(tx: Transaction, name: str, rollout_id: int | None, reason: str) -> dict[str, Any]:
    """Admit no further phone of a running rolling rollout; ConflictError of any other."""
    rollout = _rolling(tx, name, rollout_id)
    changed = rolling.pause(tx, rollout, f"paused by {tx.actor}" + (f": {reason}" if reason else ""))
    done = f"the rollout {name!r} {'is' if changed else 'was already'} paused; phones in flight end"
    return {"changed": changed, "message": done, "rollout": state(tx, name, rollout.id)}


def resume_rollout(tx: Transaction, name: str, rollout_id: int | None) -> dict[str, Any]:
    """Admit phones of a paused rollout again, and count failures from zero; ConflictError unless it is rolling."""
    rollout = _rolling(tx, name, rollout_id)
    changed = rolling.resume(tx, rollout)
    done = f"the rollout {name!r} {'goes on when a run watches it' if changed else 'is not paused'}"
    return {"changed": changed, "message": done, "rollout": state(tx, name, rollout.id)}


def _rolling(tx: Transaction, name: str, rollout_id: int | None) -> RolloutRow:
    rollout = show.find(tx.connection, name, rollout_id)
    rollout = lease.of_run(tx.connection, name, rollout.id)
    if rollout.strategy != ROLLING:
        raise ConflictError(f"the rollout {name!r} runs in waves; only a rolling rollout can be paused and resumed")
    return rollout


def abort_rollout(tx: Transaction, name: str, rollout_id: int | None, *, dry_run: bool) -> dict[str, Any]:
    """End a running rollout and cancel its operations, except those of phones that are in a session."""
    done = abort.abort(tx, name, rollout_id)
    return {
        "changed": done.changed,
        "cancelled": done.cancelled,
        "in_session": done.in_session,
        "message": abort.words(tx.connection, done, dry_run=dry_run),
        "rollout": state(tx, name, done.rollout_id),
    }
