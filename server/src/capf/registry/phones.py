# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phones that are registered with the server, and their settings (R26)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection

from capf import device_names
from capf.lists.cells import shown
from capf.model import (
    DEVICE_NAME,
    AuthenticationMode,
    ConflictError,
    InvalidRequestError,
    Problem,
    SecurityMode,
    counted,
    not_allowed,
)
from capf.registry import confirmation, forecast, guessing, lifecycle, phone_fields
from capf.registry.changes import Change, Changes
from capf.registry.phone_fields import NAME
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, guesses, rows

_MODE = "device_security_mode"
_SECURE = (SecurityMode.AUTHENTICATED, SecurityMode.ENCRYPTED)
_WAITS_FOR_STRING = (
    f"{{}} has no LSC and waits for its authentication string; in mode {{}} it could never register to receive it:"
    f" leave it {SecurityMode.NON_SECURE} until the operation has ended, or cancel the operation"
)
REMOVED = "remove phone"
"""The audit action for a removed phone."""
DEFAULTS: Mapping[str, Any] = phone_fields.defaults()
CHOICES: Mapping[str, Sequence[str | int]] = phone_fields.choices()
LONGEST_TEXT = 255
"""The largest number of characters in a description, and in other text that administrators give a phone."""
_TEXTS = phone_fields.names(field for field in phone_fields.settings() if field.free_text)
_TOO_LONG = "{} has {} characters; allowed: at most {}"


def name_problems(names: Iterable[str], where: str) -> list[Problem]:
    """Return a problem for each device name that is invalid or a duplicate, by its index."""
    problems, seen = [], dict[str, int]()
    for index, name in enumerate(names):
        field = where.format(index)
        same = name.casefold()
        if not DEVICE_NAME.fullmatch(name):
            problems.append(device_names.problem(field, name))
        elif same in seen:
            place = where.format(seen[same]).partition(".")[0]
            problems.append(Problem(field, name, f"{name} is listed twice, first as {place}; list each phone once"))
        seen.setdefault(same, index)
    return problems


def not_registered(field: str, name: str) -> Problem:
    """Return the problem of a phone that the server does not know."""
    return Problem(field, name, f"{name} is not registered with the server; register the phone first, or leave it out")


def refuse_unregistered(names: Sequence[str], known: Collection[str]) -> None:
    """Raise InvalidRequestError for names that are invalid, duplicates, or not among the ``known`` ones."""
    problems = name_problems(names, "phones[{}]")
    problems += [not_registered(f"phones[{index}]", name) for index, name in enumerate(names) if name not in known]
    if problems:
        raise InvalidRequestError(problems)


def choice_problems(values: Mapping[str, Any], where: str) -> list[Problem]:
    """Return a problem for each value that is not among its field's choices, and for each text that is too long."""
    problems = []
    for name, value in values.items():
        if value is None:
            continue
        choices = CHOICES.get(name)
        if choices is not None and value not in choices:
            problems.append(not_allowed(f"{where}{name}", str(value), choices))
        elif name in _TEXTS and len(value) > LONGEST_TEXT:
            message = _TOO_LONG.format(shown(value), len(value), LONGEST_TEXT)
            problems.append(Problem(f"{where}{name}", value, message))
    return problems


def ensure(
    tx: Transaction,
    wanted: Sequence[Mapping[str, Any]],
    state: Literal["present", "absent"],
    confirm: int | None = None,
) -> Changes:
    """Register, change or remove phones, completely or not at all. An omitted setting is left alone.

    InvalidRequestError names every wrong field, and the number to ``confirm`` if many phones are removed;
    ConflictError if a phone to remove is in a session.
    """
    names = [str(phone[NAME]) for phone in wanted]
    problems = name_problems(names, "phones[{}].device_name")
    for index, phone in enumerate(wanted):
        problems += choice_problems(phone, f"phones[{index}].")
    if problems:
        raise InvalidRequestError(problems)
    known = rows.fields_of(tx.connection, names)
    if state == "absent":
        present = [name for name in names if name in known]
        confirmation.require(tx, len(present), confirm, "remove {}")
        return _remove(tx, present, len(names))
    problems = _waiting_problems(tx.connection, wanted, known) + _spelling_problems(tx.connection, names, known)
    if problems:
        raise InvalidRequestError(problems)
    return _present(tx, wanted, known)


def _spelling_problems(connection: Connection, names: Sequence[str], known: Collection[str]) -> list[Problem]:
    """Return a problem for each new softphone that is registered in another case."""
    new = [name for name in names if name not in known]
    others = rows.softphones(connection, new)
    return [
        Problem(f"phones[{index}].{NAME}", name, f"{name} is registered as {others[name.casefold()]}; use that name")
        for index, name in enumerate(names)
        if name not in known and name.casefold() in others
    ]


def _waiting_problems(
    connection: Connection, wanted: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> list[Problem]:
    """Return a problem for each phone that could no longer receive the string of its pending operation."""
    asked = {
        phone[NAME]: (index, phone[_MODE])
        for index, phone in enumerate(wanted)
        if phone[NAME] in known and phone.get(_MODE) not in (None, known[phone[NAME]][_MODE])
    }
    operations = rows.operations_of(connection, list(asked))
    with_lsc = certificate_rows.active(connection, list(asked))
    return [
        Problem(f"phones[{index}].{_MODE}", mode, _WAITS_FOR_STRING.format(name, mode))
        for name, (index, mode) in asked.items()
        if name in operations
        and lifecycle.is_open(operations[name])
        and forecast.never_registers(operations[name].authentication_mode, mode, has_lsc=name in with_lsc)
    ]


def unlock(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Unlock phones for all addresses, and return the device names that were locked."""
    refuse_unregistered(names, rows.phones_of(tx.connection, names))
    locked = guessing.unlock(tx, names)
    for name in locked:
        tx.audit("unlock phone", name)
    return locked


def _remove(tx: Transaction, names: list[str], asked: int) -> Changes:
    operations = rows.operations_of(tx.connection, names)
    busy = [name for name, row in operations.items() if lifecycle.in_session(row)]
    if busy:
        raise ConflictError(f"in a session with CAPF now: {', '.join(sorted(busy)[:10])}")
    rows.remove_phones(tx.connection, names)
    guesses.forget_phones(tx.connection, names)
    for name in names:
        tx.audit(REMOVED, name)
    return Changes(asked, [Change(name, {"state": "present"}, None) for name in names])


def _present(tx: Transaction, wanted: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]) -> Changes:
    new: list[dict[str, Any]] = []
    changed: dict[str, dict[str, Any]] = {}
    results: list[Change] = []
    for phone in wanted:
        given = {name: value for name, value in phone.items() if value is not None}
        device_name = given[NAME]
        row = known.get(device_name)
        if row is None:
            new.append({**DEFAULTS, **given})
            results.append(Change(device_name, None, new[-1]))
            continue
        after = {name: value for name, value in given.items() if row[name] != value}
        if after:
            changed[device_name] = after
            results.append(Change(device_name, {name: row[name] for name in after}, after))
    rows.add_phones(tx.connection, new)
    rows.change_phones(tx.connection, changed)
    for change in results:
        tx.audit("add phone" if change.before is None else "change phone", change.name, **(change.after or {}))
    return Changes(len(wanted), results, secure_warnings(tx.connection, results))


def secure_warnings(connection: Connection, results: Sequence[Change]) -> list[str]:
    """Warn about phones that become secure and have no certificate at all (P54)."""
    secure = [change.name for change in results if (change.after or {}).get(_MODE) in _SECURE]
    with_mic = {name for name, row in rows.phones_of(connection, secure).items() if row.mic}
    with_lsc = certificate_rows.active(connection, secure)
    bare = [name for name in secure if name not in with_mic and name not in with_lsc]
    if not bare:
        return []
    return [
        f"{counted(len(bare), 'phone')}, the first of them {bare[0]}, cannot register in a secure mode without an"
        f" LSC, and no certificate of theirs is recorded: install an LSC {AuthenticationMode.NULL_STRING}, or leave"
        f" them {SecurityMode.NON_SECURE} until they have it"
    ]
