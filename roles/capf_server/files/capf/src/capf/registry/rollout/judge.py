"""What the result of a wave means, and the end of a rollout before its time (R9, R10, R16)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError, Operation, State
from capf.registry import phones, schedule
from capf.registry.context import Context
from capf.registry.rollout import again, lease, show, waves
from capf.registry.rollout.advice import MEND_AND_REPEAT, NOT_REGISTERED, REFUSED, WITHOUT_LSC, advice
from capf.registry.rollout.plan import PILOT, RETRY
from capf.registry.rollout.settings import from_record, limit
from capf.store import journal, rollouts, rows


def judge(
    connection: Connection,
    context: Context,
    name: str,
    runner: str,
    number: int,
    not_registered: Collection[str],
    actor: str,
) -> dict[str, Any]:
    """Judge a wave: stop the rollout where too many of its phones failed, and change the Device Security Mode of
    those that have their LSC and are to get another one (R9, R10): without an LSC, such a phone could never register.

    ``not_registered``: phones of the wave that call processing does not know; those count that have their LSC. A second
    try is not judged: its phones were counted in their first wave.
    """
    rollout = lease.running(connection, context, name, runner)
    wave = waves.started(connection, rollout, number)
    if wave["judged_at"] is not None:
        raise ConflictError(f"wave {number} of the rollout {name!r} has been judged")
    members = rollouts.members(connection, rollout["id"], number)
    taken = [row for row in members if row["state"] is not None]
    refused = [row for row in members if row["state"] is None and row["note"].startswith(REFUSED)]
    notes = _notes(connection, taken, not_registered)
    for note in (NOT_REGISTERED, WITHOUT_LSC):
        noted = sorted(device_name for device_name, why in notes.items() if why == note)
        rollouts.change_members(connection, rollout["id"], noted, note=note)
    failing = [_failing(row, notes) for row in taken if row["state"] != State.DONE or row["device_name"] in notes]
    failing += [_refused(row) for row in refused]
    settings = from_record(rollouts.settings_of(rollout))
    judged = len(taken) + len(refused)
    allowed = limit(settings, pilot=wave["kind"] == PILOT).of(judged)
    stopped = wave["kind"] != RETRY and len(failing) > allowed
    switched = _switch(connection, context, taken, notes, actor)
    counts = _judged(connection, context, rollout, wave, taken)
    detail = {"rollout": name, "wave": number, **counts}
    journal.record(connection, context.now, actor, [journal.Act("judge wave", detail=detail)])
    if stopped:
        problem = f"{len(failing)} of {judged} phones of wave {number} failed, allowed are {allowed}"
        lease.close(connection, context, rollout, rollouts.STOPPED, problem)
    return {"counts": counts, "allowed": allowed, "stopped": stopped, "failing": failing, "switched": switched}


def _notes(connection: Connection, taken: Sequence[rows.Row], not_registered: Collection[str]) -> dict[str, str]:
    """Return why phones count as failing although their operation is done."""
    done = [row["device_name"] for row in taken if row["state"] == State.DONE]
    with_lsc = rows.active_certificates(connection, done)
    notes = dict.fromkeys(set(done) & set(not_registered), NOT_REGISTERED)
    return notes | {device_name: WITHOUT_LSC for device_name in done if device_name not in with_lsc}


def _failing(row: rows.Row, notes: Mapping[str, str]) -> dict[str, str]:
    return {
        "device_name": row["device_name"],
        "status": row["status"],
        "problem": row["problem"],
        "advice": notes.get(row["device_name"]) or advice(row["status"], row["authentication_mode"]),
    }


def _refused(row: rows.Row) -> dict[str, str]:
    return {"device_name": row["device_name"], "status": row["note"], "problem": "", "advice": MEND_AND_REPEAT}


def _switch(
    connection: Connection, context: Context, taken: Sequence[rows.Row], notes: Mapping[str, str], actor: str
) -> list[str]:
    """Give phones that have their LSC the Device Security Mode that they are to have; returns who got another one."""
    wanted = [
        {"device_name": row["device_name"], "device_security_mode": row["security_mode_after"]}
        for row in taken
        if row["state"] == State.DONE and row["device_name"] not in notes and again.owes_mode(row)
    ]
    changes = phones.ensure(connection, context, wanted, "present", actor)
    return [result["device_name"] for result in changes.results]


def _judged(
    connection: Connection, context: Context, rollout: rows.Row, wave: rows.Row, taken: Sequence[rows.Row]
) -> dict[str, int]:
    counts = {
        "done": sum(row["state"] == State.DONE for row in taken),
        "failed": sum(row["state"] in (State.FAILED, State.CANCELLED) for row in taken),
        "pending": sum(row["state"] in rows.OPEN for row in taken),
    }
    rollouts.change_wave(connection, rollout["id"], wave["number"], judged_at=context.now, phones=len(taken), **counts)
    return counts


def abort(connection: Connection, context: Context, name: str, actor: str) -> tuple[bool, list[str]]:
    """End a running rollout and cancel what is pending; phones that are in a session now end it.

    Returns whether it was running, and whose operation was cancelled. ConflictError when there is no such rollout.
    """
    rollout = show.find(connection, name)
    if rollout["state"] != rollouts.RUNNING:
        return False, []
    members = rollouts.members(connection, rollout["id"])
    waiting = [row["device_name"] for row in members if row["state"] == State.PENDING and not row["holder"]]
    if waiting:
        items = [{"device_name": device_name} for device_name in waiting]
        schedule.schedule(connection, context, schedule.Request(Operation.NONE, items), actor)
    lease.close(connection, context, rollout, rollouts.ABORTED, f"aborted by {actor}")
    return True, waiting
