"""A rollout in numbers, and its report: per wave, per status, the slowest phones, and the phones to visit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError, State
from capf.registry import moment
from capf.registry.rollout.advice import NOT_REGISTERED, advice
from capf.store import rollouts, rows

NOT_BEGUN = "not begun"
_SLOWEST = 10


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
    members = rollouts.members(connection, rollout["id"])
    return {
        **_head(rollout),
        "settings": rollouts.settings_of(rollout),
        "skipped": json.loads(rollout["skipped"]),
        "counts": {**_counts(members), "scheduled": _scheduled(rollout, members)},
        "by_status": dict(sorted(Counter(_status(row) for row in members).items())),
        "waves": [_wave(wave, members) for wave in rollouts.waves(connection, rollout["id"])],
        "slowest": _slowest(members),
        "to_visit": [_line(row) for row in members if _is_to_visit(row)],
    }


def _status(row: rows.Row) -> str:
    return str(row["status"] or row["note"] or NOT_BEGUN)


def _counts(members: Sequence[rows.Row]) -> dict[str, int]:
    return {
        "phones": len(members),
        "done": sum(row["state"] == State.DONE for row in members),
        "failed": sum(row["state"] in (State.FAILED, State.CANCELLED) for row in members),
        "pending": sum(row["state"] in rows.OPEN for row in members),
        "not_begun": sum(row["state"] is None for row in members),
    }


def _scheduled(rollout: rows.Row, members: Sequence[rows.Row]) -> int:
    """Return for how many phones this rollout has scheduled an operation, and not found one pending."""
    return sum(row["state"] is not None and row["created_at"] >= rollout["created_at"] for row in members)


def _wave(wave: rows.Row, members: Sequence[rows.Row]) -> dict[str, Any]:
    """Return a wave with its numbers: as it was judged, or as it is now."""
    if wave["judged_at"] is None:
        counts = _counts([row for row in members if row["wave"] == wave["number"]])
    else:
        counts = {name: wave[name] for name in ("phones", "done", "failed", "pending")}
    return {
        "number": wave["number"],
        "kind": wave["kind"],
        "started_at": moment.show(wave["started_at"]),
        "judged_at": moment.show(wave["judged_at"]),
        **{name: counts[name] for name in ("phones", "done", "failed", "pending")},
    }


def _seconds(row: rows.Row) -> int | None:
    return None if row["state"] != State.DONE else row["ended_at"] - row["created_at"]


def _slowest(members: Sequence[rows.Row]) -> list[dict[str, Any]]:
    timed = [(seconds, row["device_name"]) for row in members if (seconds := _seconds(row)) is not None]
    return [{"device_name": name, "seconds": seconds} for seconds, name in sorted(timed, reverse=True)[:_SLOWEST]]


def _is_to_visit(row: rows.Row) -> bool:
    return row["note"] == NOT_REGISTERED or (row["state"] is not None and row["state"] != State.DONE)


def _line(row: rows.Row) -> dict[str, Any]:
    return {
        "device_name": row["device_name"],
        "device_pool": row["device_pool"] or "",
        "wave": row["wave"],
        "tries": row["tries"],
        "status": _status(row),
        "problem": row["problem"] or "",
        "seconds": _seconds(row),
        "advice": _advice(row),
    }


def _advice(row: rows.Row) -> str:
    if row["note"] == NOT_REGISTERED:
        return NOT_REGISTERED
    return advice(row["status"], row["authentication_mode"]) if _is_to_visit(row) else ""


def lines(connection: Connection, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield one line a phone: its wave, tries, status, seconds, and what to do about it."""
    for row in rollouts.members(connection, find(connection, name)["id"]):
        yield _line(row)


def numbers(connection: Connection) -> list[tuple[str, str, int]]:
    """Return (rollout, state, phones) of the running rollouts, for a monitor."""
    return [(row["name"], row["state"] or NOT_BEGUN, row["number"]) for row in rollouts.count_states(connection)]
