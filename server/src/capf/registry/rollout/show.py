# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts in numbers (R16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError
from capf.registry import moment, parts
from capf.registry.rollout import lease, settings, summary, tally, verdict
from capf.store import rollout_rows
from capf.store.schema import RolloutRow, WaveRow


def find(connection: Connection, name: str, rollout_id: int | None = None) -> RolloutRow:
    """Return the rollout with this id, or the latest of this name; ConflictError if there is none."""
    if rollout_id is not None:
        return lease.named(connection, name, rollout_id)
    rollout = rollout_rows.latest(connection, name)
    if rollout is None:
        raise ConflictError(f"rollout {name!r} does not exist")
    return rollout


def every(connection: Connection) -> list[dict[str, Any]]:
    """Return all rollouts with their state, the latest first."""
    return [_head(row) for row in rollout_rows.every(connection)]


def _head(rollout: RolloutRow) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "name": rollout.name,
        "state": rollout.state,
        "problem": rollout.problem,
        "created_at": moment.show(rollout.created_at),
        "ended_at": moment.show(rollout.ended_at),
        "ended_by": rollout.ended_by,
        "starts_at": moment.show(rollout.starts_at),
        "window_end": moment.show(rollout.ends_at),
        "strategy": rollout.strategy,
        "paused_at": moment.show(rollout.paused_at),
        "pause": rollout.pause,
    }


def state(connection: Connection, name: str, rollout_id: int | None = None) -> dict[str, Any]:
    """Return a rollout's state, its settings, its waves and its numbers."""
    rollout = find(connection, name, rollout_id)
    return in_numbers(connection, rollout, tally.count(connection, rollout))


def in_numbers(connection: Connection, rollout: RolloutRow, counted: tally.Tally) -> dict[str, Any]:
    """Return a rollout in the form of ``state``, from its tally."""
    counts = parts.show(counted.parts)
    return {
        **_head(rollout),
        "settings": settings.show(settings.from_record(rollout_rows.settings_of(rollout))),
        "skipped": rollout_rows.skipped_of(rollout),
        "counts": counts,
        "words": parts.words(counts),
        "scheduled": counted.scheduled,
        "refusals": counted.refusals,
        "by_status": dict(sorted(counted.statuses.items())),
        "waves": [_wave(rollout, wave, counted) for wave in rollout_rows.waves(connection, rollout.id)],
        "slowest": [{"device_name": name, "seconds": seconds} for seconds, name in counted.slowest],
        "to_visit": [line._asdict() for line in counted.to_visit],
        "summary": summary.of_rollout(connection, rollout, counted),
    }


def _wave(rollout: RolloutRow, wave: WaveRow, counted: tally.Tally) -> dict[str, Any]:
    """Return a wave with its numbers: those at its judgement if it was judged, otherwise the current ones."""
    begun, judged = wave.started_at, wave.judged_at
    now = parts.show(counted.waves.get(wave.number, Counter()))
    counts = (
        now if judged is None else dict.fromkeys(now, 0) | {name: getattr(wave, name) for name in rollout_rows.COUNTED}
    )
    given = verdict.of(wave)
    return {
        "number": wave.number,
        "kind": wave.kind,
        "started_at": moment.show(begun),
        "judged_at": moment.show(judged),
        "seconds": None if judged is None or begun is None else judged - begun,
        **counts,
        "words": parts.words(counts),
        "verdict": None if given is None else asdict(given),
        "judgement": _judgement(rollout, wave) if given is None else given.words,
    }


def _judgement(rollout: RolloutRow, wave: WaveRow) -> str:
    """Return why a wave has no recorded verdict."""
    if wave.started_at is None:
        return parts.NOT_BEGUN
    if wave.judged_at is not None:
        return "judged before verdicts were recorded"
    if rollout.strategy == settings.ROLLING and rollout.ended_at is not None:
        return "judged continuously"
    return "in progress" if rollout.state == rollout_rows.RUNNING else "ended before it was judged"
