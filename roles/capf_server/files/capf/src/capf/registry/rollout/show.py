"""Rollouts in numbers (R16)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError
from capf.registry import moment
from capf.registry.rollout import tally
from capf.registry.rollout.plan import PILOT, RETRY
from capf.registry.rollout.settings import from_record, limit
from capf.store import rollouts, rows


def find(connection: Connection, name: str) -> rows.Row:
    """Return the latest rollout of this name; ConflictError when there is none."""
    rollout = rollouts.latest(connection, name)
    if rollout is None:
        raise ConflictError(f"there is no rollout {name!r}")
    return rollout


def every(connection: Connection) -> list[dict[str, Any]]:
    """Return all rollouts with their state, the latest first."""
    return [_head(row) for row in rollouts.every(connection)]


def _head(rollout: rows.Row) -> dict[str, Any]:
    return {
        "name": rollout["name"],
        "state": rollout["state"],
        "problem": rollout["problem"],
        "created_at": moment.show(rollout["created_at"]),
        "ended_at": moment.show(rollout["ended_at"]),
        "starts_at": moment.show(rollout["starts_at"]),
        "window_end": moment.show(rollout["ends_at"]),
    }


def state(connection: Connection, name: str) -> dict[str, Any]:
    """Return a rollout's state, its settings, its waves and its numbers."""
    rollout = find(connection, name)
    counted = tally.count(connection, rollout)
    return {
        **_head(rollout),
        "settings": rollouts.settings_of(rollout),
        "skipped": json.loads(rollout["skipped"]),
        "counts": counted.counts,
        "by_status": dict(sorted(counted.statuses.items())),
        "waves": [_wave(rollout, wave, counted) for wave in rollouts.waves(connection, rollout["id"])],
        "slowest": [{"device_name": name, "seconds": seconds} for seconds, name in counted.slowest],
        "to_visit": counted.to_visit,
    }


def _wave(rollout: rows.Row, wave: rows.Row, counted: tally.Tally) -> dict[str, Any]:
    """Return a wave with its numbers: as it was judged, or as it is now."""
    begun, judged, now = wave["started_at"], wave["judged_at"], counted.waves.get(wave["number"], Counter())
    return {
        "number": wave["number"],
        "kind": wave["kind"],
        "started_at": moment.show(begun),
        "judged_at": moment.show(judged),
        "seconds": None if judged is None else judged - begun,
        "phones": wave["phones"],
        **{name: now[name] if judged is None else wave[name] for name in ("done", "failed", "pending")},
        "judgement": _judgement(rollout, wave, counted.missing[wave["number"]]),
    }


def _judgement(rollout: rows.Row, wave: rows.Row, missing: int) -> str:
    """Return how a wave was judged; ``missing``: its phones that have their LSC and are not registered."""
    if wave["started_at"] is None:
        return tally.NOT_BEGUN
    if wave["judged_at"] is None:
        return "in progress" if rollout["state"] == rollouts.RUNNING else "ended before it was judged"
    if wave["kind"] == RETRY:
        return "a second try is not judged"
    failing = wave["phones"] - wave["done"] + missing
    allowed = limit(from_record(rollouts.settings_of(rollout)), pilot=wave["kind"] == PILOT).of(wave["phones"])
    verdict = "stopped the rollout" if failing > allowed else "passed"
    return f"{verdict}: {failing} not done, {allowed} allowed"
