"""Who leads a rollout: one run at a time, and the next one after an interruption (R18)."""

from __future__ import annotations

from sqlalchemy import Connection

from capf.model import ConflictError
from capf.registry.context import Context
from capf.store import journal, rollouts, rows

SECONDS = 120
"""A run that gave no sign of life for so long was interrupted; another one may go on."""


def take_up(
    connection: Connection, context: Context, name: str, runner: str, *, by_force: bool = False
) -> rows.Row | None:
    """Return the running rollout of this name, taken up; None when there is none (one whose window is over is closed).

    ConflictError while another run leads it, unless ``by_force``.
    """
    rollout = _running(connection, name)
    if rollout is None:
        return None
    if not by_force:
        _hold(connection, context, rollout, runner)
    if rollout["ends_at"] is not None and rollout["ends_at"] <= context.now:
        close(connection, context, rollout, rollouts.STOPPED, "the window was over before all waves were done")
        return None
    return rollout


def led_by_another(connection: Connection, context: Context, name: str, runner: str) -> list[str]:
    """Return a warning where another run leads the rollout now, so that this one could not take it up."""
    rollout = _running(connection, name)
    return [] if rollout is None else _other_run(context, rollout, runner)


def _running(connection: Connection, name: str) -> rows.Row | None:
    rollout = rollouts.latest(connection, name)
    return rollout if rollout is not None and rollout["state"] == rollouts.RUNNING else None


def _is_led(context: Context, rollout: rows.Row) -> bool:
    ago: int = context.now - rollout["seen_at"]
    return 0 <= ago < SECONDS


def _other_run(context: Context, rollout: rows.Row, runner: str) -> list[str]:
    if rollout["runner"] == runner or not _is_led(context, rollout):
        return []
    return [
        f"another run of the rollout {rollout['name']!r} was active {context.now - rollout['seen_at']} s ago;"
        f" it can be taken up {SECONDS} s after its last sign of life"
    ]


def running(connection: Connection, context: Context, name: str, runner: str) -> rows.Row:
    """Return the running rollout that this run leads; ConflictError when there is none, or another run leads it."""
    rollout = _running(connection, name)
    if rollout is None:
        raise ConflictError(f"no rollout {name!r} is running")
    _hold(connection, context, rollout, runner)
    return rollout


def release(connection: Connection, context: Context, name: str, runner: str) -> bool:
    """Let the next run take the rollout up at once; returns False, and changes nothing, unless this run leads it."""
    rollout = _running(connection, name)
    if rollout is None or rollout["runner"] != runner or not _is_led(context, rollout):
        return False
    rollouts.change(connection, rollout["id"], seen_at=context.now - SECONDS)
    return True


def _hold(connection: Connection, context: Context, rollout: rows.Row, runner: str) -> None:
    for problem in _other_run(context, rollout, runner):
        raise ConflictError(problem)
    rollouts.change(connection, rollout["id"], runner=runner, seen_at=context.now)


def close(connection: Connection, context: Context, rollout: rows.Row, state: str, problem: str) -> None:
    """End a rollout, with its audit row."""
    rollouts.change(connection, rollout["id"], state=state, problem=problem, ended_at=context.now)
    detail = {"rollout": rollout["name"], "problem": problem}
    journal.record(connection, context.now, "capf", [journal.Act(f"rollout {state}", detail=detail)])
