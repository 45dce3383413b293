# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rolling rollout on record: what its policy has to know, and what follows from the decision (R16, R18).

Everything here is a function of one transaction; ``administration.rollout_runner`` calls it, resets the phones and
asks whether they are registered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from capf.model import State
from capf.registry import lifecycle, parts, phones, preflight, schedule
from capf.registry.parts import NOT_REGISTERED, REFUSED, WITHOUT_LSC, Part
from capf.registry.rollout import lease, plan, retries, verdict
from capf.registry.rollout.policy.decision import decide
from capf.registry.rollout.policy.observed import Decision, PhoneOutcome
from capf.registry.rollout.rolling_view import scene, seen_at, settings_of, site_field
from capf.registry.rollout.settings import RolloutSettings
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rolling_rows, rollout_rows, rows
from capf.store.rolling_rows import FlightRow
from capf.store.schema import PhoneRow, RolloutRow


@dataclass(slots=True)
class Step:
    """What a step decided, and the phones whose Device Security Mode it changed."""

    decision: Decision = field(default_factory=Decision)
    switched: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Whether the record has to change."""
        made = self.decision
        return bool(made.ended or made.admit or made.pause or made.judge_pilot or made.state)


def look(tx: Transaction, rollout: RolloutRow, *, registration: bool) -> Decision:
    """Return what the policy decides now; nothing changes. ``registration``: whether the server checks registration."""
    seen = scene(tx, rollout, registration=registration)
    return decide(seen.view, seen.limits, seen.candidates(seen.pilot), seen.candidates(seen.others))


def step(tx: Transaction, rollout: RolloutRow, *, registration: bool) -> Step:
    """Decide once more in this transaction, record what was decided, and schedule the admitted phones."""
    made, wanted = Step(look(tx, rollout, registration=registration)), settings_of(rollout)
    decision = made.decision
    _record_outcomes(tx, rollout, made)
    if decision.judge_pilot or decision.pause:
        _judge_pilot(tx, rollout)
    if decision.pause:
        pause(tx, rollout, decision.pause)
    if decision.admit:
        _admit(tx, rollout, wanted, decision.admit)
    if decision.state and not _goes_on(tx, rollout, wanted, decision.state):
        lease.close(tx, rollout, decision.state, decision.why)
    if made.changes:
        rolling_rows.note_change(tx.connection, rollout.id)
    return made


def pause(tx: Transaction, rollout: RolloutRow, because: str) -> bool:
    """Admit no further phone until a person resumes the rollout; return False if it is paused already."""
    if rollout.paused_at is not None:
        return False
    rolling_rows.change(tx.connection, rollout.id, paused_at=tx.now, pause=because)
    rolling_rows.note_change(tx.connection, rollout.id)
    tx.audit("pause rollout", rollout=rollout.name, problem=because)
    return True


def resume(tx: Transaction, rollout: RolloutRow) -> bool:
    """Admit phones again, and count outcomes from zero; return False if the rollout is not paused."""
    if rollout.paused_at is None:
        return False
    _judge_pilot(tx, rollout)
    rolling_rows.change(tx.connection, rollout.id, paused_at=None, pause="", counted_from=tx.now)
    rolling_rows.note_change(tx.connection, rollout.id)
    tx.audit("resume rollout", rollout=rollout.name)
    return True


def to_reset(tx: Transaction, rollout: RolloutRow) -> list[str]:
    """Return the phones whose reset has to begin: those that were admitted, those whose security mode was changed, and
    those whose reset is not certain and that were not seen since."""
    wanted = settings_of(rollout)
    if not wanted.reset:
        return []
    owing = rolling_rows.owing_reset(tx.connection, rollout.id)
    if rollout.paused_at is not None:
        return owing
    silent = [
        row.device_name
        for row in rolling_rows.in_flight(tx.connection, rollout.id, site_field(wanted))
        if row.uncertain
        and seen_at(row, in_session=lifecycle.in_session(row)) is None
        and (row.restarted_at or tx.now) + wanted.contact_seconds <= tx.now
    ]
    return [*owing, *silent, *rolling_rows.to_reset(tx.connection, rollout.id)]


def begin_reset(tx: Transaction, rollout: RolloutRow, names: Sequence[str]) -> None:
    """Record that the reset of phones begins, before it does: none is repeated after a crash (P2)."""
    rollout_rows.change_members(
        tx.connection, rollout.id, names, reset_begun_at=tx.now, restarted_at=None, uncertain=False
    )
    for name in names:
        tx.audit("reset phone", name)


def end_reset(tx: Transaction, rollout: RolloutRow, names: Sequence[str], faults: Mapping[str, str]) -> None:
    """Record that the reset of phones has ended; ``faults`` are the errors by name, noted of the phones."""
    rollout_rows.change_members(tx.connection, rollout.id, names, restarted_at=tx.now, owes_reset=False)
    for name, fault in faults.items():
        tx.audit("reset failed", name, problem=fault)


def take_over(tx: Transaction, rollout: RolloutRow) -> int:
    """Note the phones whose reset another server, or this one before a crash, has begun: it may have happened.

    It is repeated only if the phone is not seen. Returns their number.
    """
    names = rolling_rows.interrupted_resets(tx.connection, rollout.id)
    rollout_rows.change_members(tx.connection, rollout.id, names, uncertain=True, restarted_at=tx.now)
    return len(names)


def register(tx: Transaction, rollout: RolloutRow, names: Sequence[str]) -> None:
    """Record that phones with their LSC are registered with call processing again (P74)."""
    rollout_rows.change_members(tx.connection, rollout.id, names, registered_at=tx.now)


def _record_outcomes(tx: Transaction, rollout: RolloutRow, made: Step) -> None:
    names: dict[PhoneOutcome, list[str]] = {outcome: [] for outcome in PhoneOutcome}
    for name, outcome in made.decision.ended:
        names[outcome].append(name)
    without = (
        set(names[PhoneOutcome.DONE]) - certificate_rows.active(tx.connection, sorted(names[PhoneOutcome.DONE])).keys()
    )
    names[PhoneOutcome.DONE] = [name for name in names[PhoneOutcome.DONE] if name not in without]
    names[PhoneOutcome.FAILED] += sorted(without)
    flying = {row.device_name: row for row in rolling_rows.in_flight(tx.connection, rollout.id, "device_pool")}
    absent = [name for name in names[PhoneOutcome.FAILED] if flying[name].state == State.DONE and name not in without]
    for outcome, found in names.items():
        rollout_rows.change_members(tx.connection, rollout.id, found, outcome=outcome.value, outcome_at=tx.now)
    rollout_rows.change_members(tx.connection, rollout.id, sorted(without), note=WITHOUT_LSC)
    rollout_rows.change_members(tx.connection, rollout.id, absent, note=NOT_REGISTERED)
    made.switched = _switch(tx, rollout, [flying[name] for name in names[PhoneOutcome.DONE]])


def _switch(tx: Transaction, rollout: RolloutRow, done: Sequence[FlightRow]) -> list[str]:
    """Switch phones that have their LSC to their new Device Security Mode; they owe a reset, which applies it (R9)."""
    wanted = [
        {"device_name": row.device_name, "device_security_mode": row.security_mode_after}
        for row in done
        if row.device_security_mode is not None and row.security_mode_after not in ("", row.device_security_mode)
    ]
    changed = [change.name for change in phones.ensure(tx, wanted, "present").results]
    rollout_rows.change_members(tx.connection, rollout.id, changed, owes_reset=settings_of(rollout).reset)
    return changed


def _admit(tx: Transaction, rollout: RolloutRow, wanted: RolloutSettings, names: Sequence[str]) -> None:
    """Schedule the operations of phones; a phone that needs none, or whose operation is refused, has its note."""
    reasons = preflight.blocking_reasons(tx)
    if reasons:
        pause(tx, rollout, f"no phone is admitted: {reasons}")
        return
    known = rows.phones_of(tx.connection, names)
    _note(tx, rollout, {parts.GONE: [name for name in names if name not in known]})
    strings = _given_strings(tx, rollout, known)
    scheduled = schedule.schedule_others(tx, plan.installation(wanted, known, sorted(known), strings))
    _note(tx, rollout, scheduled.skipped)
    _refuse(tx, rollout, scheduled)
    tried = rolling_rows.tried(tx.connection, rollout.id, scheduled.skipped.get(schedule.LSC_IS_RIGHT, ()))
    taken = scheduled.scheduled + scheduled.pending + tried
    rollout_rows.take_operations(tx.connection, rollout.id, taken)
    restarted = None if wanted.reset else tx.now
    turn = {"admitted_at": tx.now, "restarted_at": restarted, "given_string": None}
    rollout_rows.change_members(tx.connection, rollout.id, taken, **turn)
    rolling_rows.start_waves(tx.connection, rollout.id, tx.now)
    tx.audit("admit phones", rollout=rollout.name, phones=len(taken))


def _note(tx: Transaction, rollout: RolloutRow, notes: Mapping[str, Sequence[str]]) -> None:
    for note, names in notes.items():
        rollout_rows.change_members(tx.connection, rollout.id, names, note=note)


def _refuse(tx: Transaction, rollout: RolloutRow, scheduled: schedule.Scheduled) -> None:
    """Note the phones whose operation is refused; they have failed."""
    failed = {"outcome": PhoneOutcome.FAILED.value, "admitted_at": tx.now, "outcome_at": tx.now}
    for name, problem in scheduled.refused.items():
        rollout_rows.change_members(tx.connection, rollout.id, [name], note=f"{REFUSED}: {problem.message}", **failed)


def _given_strings(tx: Transaction, rollout: RolloutRow, known: Mapping[str, PhoneRow]) -> dict[str, str]:
    """Return the authentication strings that the list of the rollout has for these phones."""
    kept = rolling_rows.given_strings(tx.connection, rollout.id, list(known))
    read = {name: tx.context.secrets.read(secret, name) for name, secret in kept.items()}
    return {name: string for name, string in read.items() if string is not None}


def _judge_pilot(tx: Transaction, rollout: RolloutRow) -> None:
    """Record the verdict on the pilot once all of it has ended."""
    for wave in rollout_rows.waves(tx.connection, rollout.id):
        if wave.kind == plan.PILOT and wave.judged_at is None:
            members = rollout_rows.members(tx.connection, rollout.id, wave.number)
            counted = Counter(map(parts.of, members))
            if not counted[Part.WAITING] and all(row.judged_at or row.note for row in members):
                rollout_rows.change_wave(tx.connection, rollout.id, wave.number, judged_at=tx.now)
                verdict.record(tx, rollout, wave, counted, settings_of(rollout))


def _goes_on(tx: Transaction, rollout: RolloutRow, wanted: RolloutSettings, state: str) -> bool:
    """Return whether a rollout without waiting phones goes on: to apply security modes by a reset, or with a retry."""
    if rolling_rows.owing_reset(tx.connection, rollout.id):
        return True
    return state == rollout_rows.DONE and _retry(tx, rollout, wanted)


def _retry(tx: Transaction, rollout: RolloutRow, wanted: RolloutSettings) -> bool:
    """Let the phones that may succeed on a retry wait again, as a separate wave; return False if there are none."""
    names = retries.names(rollout_rows.members(tx.connection, rollout.id), wanted)
    if not names:
        return False
    number = len(rollout_rows.waves(tx.connection, rollout.id)) + 1
    rollout_rows.add_wave(tx.connection, rollout.id, number=number, kind=plan.RETRY, phones=len(names))
    rolling_rows.wait_again(tx.connection, rollout.id, names, number)
    return True
