# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Beginning a rollout, or resuming the running one with its name (R16, R18)."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError, InvalidRequestError, SecurityMode, not_allowed
from capf.registry import moment, phone_fields
from capf.registry.parts import NOT_TRIED
from capf.registry.rollout import lease, plan, resume
from capf.registry.rollout.plan import Plan, RolloutRequest
from capf.registry.rollout.settings import ROLLING, as_record, check, with_wave_seconds
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rollout_rows, rows

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}")
NAME_ALLOWED = "1 to 80 letters, digits, spaces, dots, dashes and underscores"
_MODE, _MODE_AFTER, _STRING = "device_security_mode", "security_mode_after", "authentication_string"


def begin(tx: Transaction, request: RolloutRequest) -> Plan:
    """Record a new rollout if any phone needs an LSC, or resume the running one with this name.

    InvalidRequestError lists all problems; ConflictError if another rollout has one of the phones, another run leads
    this one, it is too early, or the rollout that the run waited for was aborted or stopped. A dry run shows the plan
    even while another run leads it, and with a warning if it is too early.
    """
    _check(request)
    now, warnings = tx.now, list[str]()
    if request.dry_run:
        warnings += lease.led_by_another(tx, request.name, request.runner)
    rollout_rows.one_begins_at_a_time(tx.connection)
    resumed = lease.resume(tx, request.name, request.runner, rollout_id=request.rollout_id, by_force=request.dry_run)
    if resumed is not None:
        made = resume.remaining(tx, resumed, request)
    else:
        _refuse_others(tx, request.phones)
        check(request.settings, now)
        request = replace(request, settings=with_wave_seconds(request.settings, tx.in_force))
        made = plan.make(tx, request)
    if made.starts_at > now and not request.early:
        early = f"the window opens at {moment.show(made.starts_at)}; the rollout cannot begin earlier"
        if not request.dry_run:
            raise ConflictError(early)
        warnings.append(early)
    if made.waves and not made.resumed:
        _record(tx, request, made)
    return replace(made, warnings=[*warnings, *made.warnings])


def nothing_left(tx: Transaction, name: str, rollout_id: int) -> Plan | None:
    """Return a plan without waves if the rollout that a run waited for is done meanwhile, None while it is running.

    ConflictError if it was aborted or stopped. Such a run never begins a new rollout.
    """
    done = lease.done_while_waiting(tx.connection, name, rollout_id)
    if not done:
        return None
    return Plan([], {}, [done], tx.now, tx.now, None)


def settings_of(connection: Connection, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings that a list gives its phones, without authentication strings and ``security_mode_after``, and
    without the Device Security Modes that ``security_mode_after`` has replaced.

    A phone that has its LSC and its new Device Security Mode keeps it if the same list is used again.
    """
    names = [str(phone[phone_fields.NAME]) for phone in given]
    later = [name for name, phone in zip(names, given, strict=True) if phone.get(_MODE_AFTER) is not None]
    known, with_lsc = rows.phones_of(connection, later), certificate_rows.active(connection, later)
    settings = []
    for name, phone in zip(names, given, strict=True):
        values = {key: value for key, value in phone.items() if key not in (_MODE_AFTER, _STRING)}
        if name in with_lsc and name in known and known[name].device_security_mode == phone.get(_MODE_AFTER):
            values.pop(_MODE, None)
        settings.append(values)
    return settings


def _record(tx: Transaction, request: RolloutRequest, made: Plan) -> None:
    """Record the rollout; phones that would certainly fail are members without a wave, so that its report names
    them."""
    untried = {reason: names for reason, names in made.skipped.items() if reason.startswith(NOT_TRIED)}
    values = {
        "name": request.name,
        "state": rollout_rows.RUNNING,
        "settings": json.dumps(as_record(request.settings)),
        "skipped": json.dumps({reason: len(names) for reason, names in made.skipped.items() if reason not in untried}),
        "starts_at": made.starts_at,
        "ends_at": made.ends_at,
        "runner": request.runner,
        "seen_at": tx.now,
        "created_at": tx.now,
        "strategy": request.settings.strategy,
    }
    waves = [{"number": wave.number, "kind": wave.kind, "phones": len(wave.phones)} for wave in made.waves]
    identifier = rollout_rows.add(tx.connection, values, waves)
    rollout_rows.add_phones(tx.connection, identifier, _members(tx, request, made))
    left_out = ((name, reason) for reason, names in untried.items() for name in names)
    notes = ({"device_name": name, "wave": rollout_rows.NO_WAVE, "note": reason} for name, reason in left_out)
    rollout_rows.add_phones(tx.connection, identifier, notes)
    count = sum(len(wave.phones) for wave in made.waves)
    tx.audit("begin rollout", rollout=request.name, phones=count, waves=len(waves))


def _members(tx: Transaction, request: RolloutRequest, made: Plan) -> Iterator[dict[str, Any]]:
    """Yield the phones of the waves; in a rolling rollout each has its turn, and keeps its string until then."""
    turns = itertools.count(1)
    for wave in made.waves:
        for name in wave.phones:
            member = {
                "device_name": name,
                "wave": wave.number,
                "security_mode_after": request.modes_after.get(name, ""),
            }
            if request.settings.strategy == ROLLING:
                member |= _turn(tx, request, made, name) | {"turn": next(turns)}
            yield member


def _turn(tx: Transaction, request: RolloutRequest, made: Plan, name: str) -> dict[str, Any]:
    """Return what a rolling rollout has to know of a phone until its turn; its string is encrypted."""
    string = request.strings.get(name)
    return {
        "expected_seconds": made.seconds[name],
        "by_string": name in made.by_string,
        "given_string": None if string is None else tx.context.secrets.encrypt(string, name),
    }


def _check(request: RolloutRequest) -> None:
    problems = []
    if not NAME.fullmatch(request.name):
        problems.append(not_allowed("name", request.name, NAME_ALLOWED))
    allowed = [mode.value for mode in SecurityMode]
    problems += [
        not_allowed(f"security_mode_after of {name}", mode, allowed)
        for name, mode in request.modes_after.items()
        if mode not in allowed
    ]
    if problems:
        raise InvalidRequestError(problems)


def _refuse_others(tx: Transaction, names: Sequence[str]) -> None:
    """Raise ConflictError if a running rollout has one of the phones; one whose window is over does not count."""
    clashes = [row for row in rollout_rows.others(tx.connection, names) if row.ends_at is None or row.ends_at > tx.now]
    if not clashes:
        return
    running = sorted({row.name for row in clashes})
    shown = plan.some(row.device_name for row in clashes)
    raise ConflictError(
        f"{len(clashes)} of the phones are in the running rollout {', '.join(running)}, among them {shown};"
        " resume that one, or abort it"
    )
