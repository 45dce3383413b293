# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Begins and aborts rollouts: several rules in one transaction (R16, R18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from capf.administration.registration import Listed, register_for_rollout
from capf.model import InvalidRequestError, Problem
from capf.registry import search
from capf.registry.changes import Changes
from capf.registry.phone_fields import NAME
from capf.registry.rollout import abort, begin, plan, show, summary, waves
from capf.registry.search import Criterion
from capf.registry.transaction import Transaction


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
