# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The waves of a running rollout: which one is next, and its progress (R16, R18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from capf.model import AuthenticationMode, ConflictError, State, counted
from capf.registry import moment, parts, preflight, schedule
from capf.registry.context import Context
from capf.registry.parts import REFUSED, Part
from capf.registry.rollout import lease, retries, show
from capf.registry.rollout.plan import RETRY, installation
from capf.registry.rollout.settings import ROLLING, RolloutSettings, from_record, seconds
from capf.registry.transaction import Transaction
from capf.store import rollout_rows, rows
from capf.store.rollout_rows import MemberRow
from capf.store.schema import RolloutRow, WaveRow

_LOOK_AGAIN_SECONDS = 5
_RATE_SECONDS = 60


class Pace(NamedTuple):
    """The progress of a wave: the numbers of its phones by part, phones done per minute, and the seconds left."""

    number: int
    counts: dict[str, int]
    phones_a_minute: float
    seconds_left: int


def start(tx: Transaction, run: lease.Run, strings: Mapping[str, str]) -> dict[str, Any]:
    """Start the next wave, or continue an interrupted one; schedule its phones.

    ``strings``: the given authentication strings of phones; the server makes the others. The answer's wave is
    None if the rollout has ended, or when it is too early for the next wave (``wait_seconds``). ConflictError
    while CAPF is not activated or does not run, or while phones would get an outdated CTL file.
    """
    rollout = lease.running(tx, run)
    if rollout.strategy == ROLLING:
        raise ConflictError(f"the rollout {run.name!r} is rolling: the server admits its phones; watch it instead")
    waves = rollout_rows.waves(tx.connection, rollout.id)
    for wave in waves:
        if wave.started_at is not None and wave.judged_at is None:
            _refuse_unready(tx)
            left = [row for row in _taken(tx.connection, wave) if row.state in rows.OPEN]
            ends_by = goes_on_until(tx.context, rollout, wave, left)
            rollout_rows.change_wave(tx.connection, rollout.id, wave.number, ends_by=ends_by)
            return _show(tx, rollout, wave.number, resumed=True)
    early = (rollout.starts_at or 0) - tx.now
    if early > 0:
        return _wait(early, "the window is not open yet")
    settings = from_record(rollout_rows.settings_of(rollout))
    phones = _next(tx.connection, rollout, settings, waves)
    if not phones:
        return _finish_or_wait(tx, rollout)
    if rollout.ends_at is not None and _ends_by(tx.context, settings, phones) > rollout.ends_at:
        return _finish(tx, rollout, rollout_rows.STOPPED, "no further wave fits into the window")
    busy = rollout_rows.sessions_open(tx.connection)
    if busy and busy + len(phones) > settings.open_sessions:
        return _wait(_LOOK_AGAIN_SECONDS, f"{counted(busy, 'session')} open, {settings.open_sessions} allowed")
    _refuse_unready(tx)
    number = next((wave.number for wave in waves if wave.started_at is None), None)
    if number is None:
        number = _add_second_try(tx.connection, rollout, len(waves), phones)
    _begin(tx, rollout, number, strings)
    return _show(tx, rollout, number, resumed=False)


def _refuse_unready(tx: Transaction) -> None:
    reasons = preflight.blocking_reasons(tx)
    if reasons:
        raise ConflictError(f"no wave is started: {reasons} The rollout can continue once that is fixed.")


def _next(
    connection: Connection, rollout: RolloutRow, settings: RolloutSettings, waves: Sequence[WaveRow]
) -> Sequence[MemberRow]:
    """Return the phones of the next wave, or those to retry once all waves are done."""
    for wave in waves:
        if wave.started_at is None:
            return rollout_rows.members(connection, rollout.id, wave.number)
    members = rollout_rows.members(connection, rollout.id)
    names = set(retries.names(members, settings))
    return [row for row in members if row.device_name in names]


def _ends_by(context: Context, settings: RolloutSettings, phones: Sequence[MemberRow]) -> int:
    """Return the latest end of a wave of these phones that is started now."""
    return context.now + seconds(settings, (row.wanted_mode for row in phones))


def goes_on_until(context: Context, rollout: RolloutRow, wave: WaveRow, left: Sequence[MemberRow]) -> int:
    """Return the latest end of an interrupted wave: as planned, or, if that time has passed, once the remaining phones
    have had their time, within the window."""
    planned = wave.ends_by or context.now
    if planned > context.now or not left:
        return planned
    ends_by = _ends_by(context, from_record(rollout_rows.settings_of(rollout)), left)
    return ends_by if rollout.ends_at is None else min(ends_by, rollout.ends_at)


def _finish_or_wait(tx: Transaction, rollout: RolloutRow) -> dict[str, Any]:
    """End a rollout whose waves are done; wait while a phone that still has to become secure is in a session."""
    in_window = rollout.ends_at is None or rollout.ends_at > tx.now
    late = [row for row in rollout_rows.members(tx.connection, rollout.id) if row.holder and retries.owes_mode(row)]
    if late and in_window:
        return _wait(_LOOK_AGAIN_SECONDS, f"{counted(len(late), 'phone')} to become secure in a session")
    return _finish(tx, rollout, rollout_rows.DONE, "")


def _wait(seconds: int, why: str) -> dict[str, Any]:
    return {"wave": None, "ended": False, "wait_seconds": seconds, "why": why}


def _finish(tx: Transaction, rollout: RolloutRow, state: str, problem: str) -> dict[str, Any]:
    lease.close(tx, rollout, state, problem)
    return {"wave": None, "ended": True, "wait_seconds": 0, "why": problem or "all waves are done"}


def _add_second_try(connection: Connection, rollout: RolloutRow, waves: int, phones: Sequence[MemberRow]) -> int:
    """Make a wave of phones that may succeed on a retry, and return its number."""
    rollout_rows.add_wave(connection, rollout.id, number=waves + 1, kind=RETRY, phones=len(phones))
    rollout_rows.change_members(connection, rollout.id, [row.device_name for row in phones], wave=waves + 1)
    return waves + 1


def _begin(tx: Transaction, rollout: RolloutRow, number: int, strings: Mapping[str, str]) -> None:
    """Schedule the phones of a wave; phones that are gone, already up to date or refused are noted and skipped.

    A phone that failed and has since got an LSC by another operation is done.
    """
    settings = from_record(rollout_rows.settings_of(rollout))
    phones = rollout_rows.members(tx.connection, rollout.id, number)
    known = rows.phones_of(tx.connection, [row.device_name for row in phones])
    gone = [row.device_name for row in phones if row.device_name not in known]
    rollout_rows.change_members(tx.connection, rollout.id, gone, note=parts.GONE)
    plan = schedule.schedule_others(tx, installation(settings, known, sorted(known), strings))
    for reason, names in {**plan.skipped, **_refused(plan)}.items():
        rollout_rows.change_members(tx.connection, rollout.id, names, note=reason)
    right = set(plan.skipped.get(schedule.LSC_IS_RIGHT, ()))
    tried = [row.device_name for row in phones if row.tries and row.device_name in right]
    taken = plan.scheduled + plan.pending + tried
    rollout_rows.take_operations(tx.connection, rollout.id, taken)
    ends_by = _ends_by(tx.context, settings, phones)
    rollout_rows.change_wave(tx.connection, rollout.id, number, started_at=tx.now, ends_by=ends_by)
    detail = {"rollout": rollout.name, "wave": number, "phones": len(taken)}
    tx.audit("start wave", **detail)


def _refused(plan: schedule.Scheduled) -> dict[str, list[str]]:
    """Return the phones that the wave leaves out, with the note on each."""
    found: dict[str, list[str]] = {}
    for device_name, problem in plan.refused.items():
        found.setdefault(f"{REFUSED}: {problem.message}", []).append(device_name)
    return found


def _show(tx: Transaction, rollout: RolloutRow, number: int, *, resumed: bool) -> dict[str, Any]:
    wave = started(tx.connection, rollout, number)
    taken = _taken(tx.connection, wave)
    return {
        "ended": False,
        "wait_seconds": 0,
        "why": "",
        "wave": {
            "number": number,
            "kind": wave.kind,
            "resumed": resumed,
            "phones": [row.device_name for row in taken],
            "reset": [row.device_name for row in taken if row.state in rows.OPEN and not row.holder],
            "by_string": [row.device_name for row in taken if _waits_for_string(row)],
            "string_sites": sorted({row.device_pool for row in taken if _waits_for_string(row)}),
            "seconds_left": max(0, (wave.ends_by or 0) - tx.now),
            "ends_by": moment.show(wave.ends_by),
        },
    }


def find(connection: Connection, name: str, number: int, rollout_id: int | None) -> WaveRow:
    """Return a wave of this rollout, or of the latest of its name; ConflictError if it has not been started."""
    return started(connection, show.find(connection, name, rollout_id), number)


def started(connection: Connection, rollout: RolloutRow, number: int) -> WaveRow:
    """Return a wave that has been started; ConflictError for any other number."""
    for wave in rollout_rows.waves(connection, rollout.id):
        if wave.number == number and wave.started_at is not None:
            return wave
    raise ConflictError(f"wave {number} of the rollout {rollout.name!r} has not been started")


def _waits_for_string(row: MemberRow) -> bool:
    """True if somebody has yet to enter the phone's string."""
    return row.state in rows.OPEN and not row.holder and row.authentication_mode == AuthenticationMode.STRING


def progress(tx: Transaction, run: lease.Run, number: int) -> dict[str, Any]:
    """Return the progress of a wave.

    ConflictError if the rollout has ended meanwhile, with who aborted it and when.
    """
    wave = started(tx.connection, lease.of_run(tx.connection, run.name, run.rollout_id), number)
    members = rollout_rows.members(tx.connection, run.rollout_id, number)
    names: dict[Part, list[str]] = {part: [] for part in Part}
    for row in members:
        names[parts.of(row)].append(row.device_name)
    pace = _pace(tx.context, wave, members)
    return {
        "ended": not names[Part.IN_FLIGHT] or not pace.seconds_left,
        "counts": pace.counts,
        "phones_a_minute": pace.phones_a_minute,
        "seconds_left": pace.seconds_left,
        "done": names[Part.DONE],
        "in_flight": names[Part.IN_FLIGHT],
        "failed": names[Part.FAILED],
        "waiting_for_string": [row.device_name for row in members if _waits_for_string(row)],
    }


def current(tx: Transaction, rollout: RolloutRow) -> Pace | None:
    """Return the number of the running wave, and its ``progress`` in numbers; None between two waves."""
    if rollout.state != rollout_rows.RUNNING or rollout.strategy == ROLLING:
        return None
    for wave in rollout_rows.waves(tx.connection, rollout.id):
        if wave.started_at is not None and wave.judged_at is None:
            members = rollout_rows.members(tx.connection, rollout.id, wave.number)
            return _pace(tx.context, wave, members)
    return None


def _taken(connection: Connection, wave: WaveRow) -> list[MemberRow]:
    members = rollout_rows.members(connection, wave.rollout_id, wave.number)
    return [row for row in members if row.state is not None]


def _pace(context: Context, wave: WaveRow, members: Sequence[MemberRow]) -> Pace:
    since = min(_RATE_SECONDS, max(1, context.now - (wave.started_at or 0)))
    recent = sum(row.state == State.DONE and (row.ended_at or 0) >= context.now - since for row in members)
    counts, left = parts.counts(map(parts.of, members)), max(0, (wave.ends_by or 0) - context.now)
    return Pace(wave.number, counts, round(recent * 60 / since, 1), left)
