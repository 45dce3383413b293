"""The waves of a running rollout: which one is next, and how far it is (R16, R18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import AuthenticationMode, ConflictError, Operation, State
from capf.registry import moment, schedule
from capf.registry.context import Context
from capf.registry.rollout import lease
from capf.registry.rollout.advice import another_try_may_help
from capf.registry.rollout.plan import RETRY
from capf.registry.rollout.settings import Settings, from_record, seconds
from capf.store import journal, rollouts, rows

_LOOK_AGAIN_SECONDS = 5
_RATE_SECONDS = 60


def start(
    connection: Connection, context: Context, name: str, runner: str, strings: Mapping[str, str], actor: str
) -> dict[str, Any]:
    """Start the next wave, or go on with one that was interrupted; schedules its phones.

    ``strings``: authentication strings that are given for phones; the server makes the others. The answer's wave is
    None when the rollout has ended, or when it is too early for the next wave (``wait_seconds``). ConflictError
    while CAPF does not run.
    """
    rollout = lease.running(connection, context, name, runner)
    if context.running is None:
        raise ConflictError("the CAPF service does not run; no wave is started")
    waves = rollouts.waves(connection, rollout["id"])
    for wave in waves:
        if wave["started_at"] is not None and wave["judged_at"] is None:
            return _show(connection, context, rollout, wave["number"], resumed=True)
    settings = from_record(rollouts.settings_of(rollout))
    if rollout["starts_at"] > context.now:
        return _wait(rollout["starts_at"] - context.now, "the window is not open yet")
    ends_at = rollout["ends_at"]
    if ends_at is not None and context.now + settings.wave_seconds > ends_at:
        return _finish(connection, context, rollout, rollouts.STOPPED, "no further wave fits into the window")
    planned = next((wave["number"] for wave in waves if wave["started_at"] is None), None)
    number = planned or _second_try(connection, rollout, settings, len(waves))
    if number is None:
        return _finish(connection, context, rollout, rollouts.DONE, "")
    phones = rollouts.members(connection, rollout["id"], number)
    busy = rollouts.sessions_open(connection)
    if busy and busy + len(phones) > settings.open_sessions:
        return _wait(_LOOK_AGAIN_SECONDS, f"{busy} sessions are open, {settings.open_sessions} are allowed")
    _begin(connection, context, rollout, number, phones, strings, actor)
    return _show(connection, context, rollout, number, resumed=False)


def _wait(seconds: int, why: str) -> dict[str, Any]:
    return {"wave": None, "ended": False, "wait_seconds": seconds, "why": why}


def _finish(connection: Connection, context: Context, rollout: rows.Row, state: str, problem: str) -> dict[str, Any]:
    lease.close(connection, context, rollout, state, problem)
    return {"wave": None, "ended": True, "wait_seconds": 0, "why": problem or "all waves are done"}


def _second_try(connection: Connection, rollout: rows.Row, settings: Settings, number: int) -> int | None:
    """Make a wave of the phones for which another try may help; returns its number, None when there are none."""
    again = [
        row["device_name"]
        for row in rollouts.members(connection, rollout["id"])
        if 0 < row["tries"] <= settings.more_tries and _wants_another_try(row)
    ][: settings.open_sessions]
    if not again:
        return None
    rollouts.add_wave(connection, rollout["id"], number=number + 1, kind=RETRY, phones=len(again))
    rollouts.change_members(connection, rollout["id"], again, wave=number + 1)
    return number + 1


def _wants_another_try(row: rows.Row) -> bool:
    if row["state"] in rows.OPEN:
        return not row["holder"]
    return row["state"] == State.FAILED and another_try_may_help(row["status"])


def _begin(
    connection: Connection,
    context: Context,
    rollout: rows.Row,
    number: int,
    phones: Sequence[rows.Row],
    strings: Mapping[str, str],
    actor: str,
) -> None:
    """Schedule the phones of a wave; who is not registered any more, or right by now, is noted and left out."""
    settings = from_record(rollouts.settings_of(rollout))
    known = rows.phones_of(connection, [row["device_name"] for row in phones])
    gone = [row["device_name"] for row in phones if row["device_name"] not in known]
    rollouts.change_members(connection, rollout["id"], gone, note="no longer registered with the server")
    by_string = {name for name, row in known.items() if row["authentication_mode"] == AuthenticationMode.STRING}
    items = [
        {"device_name": name} | _string(strings.get(name) if name in by_string else None) for name in sorted(known)
    ]
    wanted = schedule.Request(
        operation=Operation.INSTALL,
        items=items,
        completes_by=settings.window_end or None,
        renew_before_days=settings.renew_before_days,
        force=settings.force,
    )
    plan = schedule.schedule(connection, context, wanted, actor)
    for reason, names in plan.skipped.items():
        rollouts.change_members(connection, rollout["id"], names, note=reason)
    taken = plan.scheduled + plan.pending
    rollouts.take_operations(connection, rollout["id"], taken)
    ends_by = context.now + seconds(settings, by_string=bool(by_string))
    if rollout["ends_at"] is not None:
        ends_by = min(ends_by, rollout["ends_at"])
    rollouts.change_wave(connection, rollout["id"], number, started_at=context.now, ends_by=ends_by, phones=len(taken))
    detail = {"rollout": rollout["name"], "wave": number, "phones": len(taken)}
    journal.record(connection, context.now, actor, [journal.Act("start wave", detail=detail)])


def _string(given: str | None) -> dict[str, str]:
    return {} if given is None else {"authentication_string": given}


def _show(connection: Connection, context: Context, rollout: rows.Row, number: int, *, resumed: bool) -> dict[str, Any]:
    wave = started(connection, rollout, number)
    taken = [row for row in rollouts.members(connection, rollout["id"], number) if row["state"] is not None]
    return {
        "ended": False,
        "wait_seconds": 0,
        "why": "",
        "wave": {
            "number": number,
            "kind": wave["kind"],
            "resumed": resumed,
            "phones": [row["device_name"] for row in taken],
            "reset": [row["device_name"] for row in taken if row["state"] in rows.OPEN and not row["holder"]],
            "by_string": [row["device_name"] for row in taken if _waits_for_string(row)],
            "string_sites": sorted({row["device_pool"] for row in taken if _waits_for_string(row)}),
            "seconds_left": max(0, wave["ends_by"] - context.now),
            "ends_by": moment.show(wave["ends_by"]),
        },
    }


def started(connection: Connection, rollout: rows.Row, number: int) -> rows.Row:
    """Return a wave that has been started; ConflictError for any other number."""
    for wave in rollouts.waves(connection, rollout["id"]):
        if wave["number"] == number and wave["started_at"] is not None:
            return wave
    raise ConflictError(f"wave {number} of the rollout {rollout['name']!r} has not been started")


def _waits_for_string(row: rows.Row) -> bool:
    """True when somebody has yet to enter the phone's string."""
    return row["state"] in rows.OPEN and not row["holder"] and row["authentication_mode"] == AuthenticationMode.STRING


def progress(connection: Connection, context: Context, name: str, number: int) -> dict[str, Any]:
    """Return how far a wave is: done, failed and pending phones, phones a minute, and the seconds that are left."""
    rollout = rollouts.latest(connection, name)
    if rollout is None:
        raise ConflictError(f"there is no rollout {name!r}")
    wave = started(connection, rollout, number)
    taken = [row for row in rollouts.members(connection, rollout["id"], number) if row["state"] is not None]
    pending = [row["device_name"] for row in taken if row["state"] in rows.OPEN]
    left = max(0, wave["ends_by"] - context.now)
    since = min(_RATE_SECONDS, max(1, context.now - wave["started_at"]))
    recent = sum(row["state"] == State.DONE and (row["ended_at"] or 0) >= context.now - since for row in taken)
    return {
        "ended": not pending or not left,
        "counts": {
            "phones": len(taken),
            "done": sum(row["state"] == State.DONE for row in taken),
            "failed": sum(row["state"] in (State.FAILED, State.CANCELLED) for row in taken),
            "pending": len(pending),
        },
        "phones_a_minute": round(recent * 60 / since, 1),
        "seconds_left": left,
        "pending": pending,
        "waiting_for_string": [row["device_name"] for row in taken if _waits_for_string(row)],
    }
