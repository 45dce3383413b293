# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Importing the data of an earlier CAPF: phones, their LSCs, and operations that are pending there (R23).

If an operation, string or certificate of a phone cannot be taken over, the phone is imported without it and a warning
names it, unless the import is ``strict`` (P56). The settings of a phone that this server already knows are kept, and
differences are reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sqlalchemy import Connection

from capf.lists import cells
from capf.model import InvalidRequestError, Operation, Problem, counted, is_known_status, status_of
from capf.registry import confirmation, earlier_lsc, forecast, moment, phones, schedule, strings
from capf.registry.changes import Change
from capf.registry.context import Context
from capf.registry.phone_fields import NAME
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rows
from capf.store.schema import CertificateRow

_FIELD = "phones[{}]"
_SHOWN_STATUSES = 20
_INDEX = re.compile(r"phones\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class EarlierPhone:
    """A phone in the data of the earlier CAPF: its settings, certificate (PEM), and pending operation."""

    device_name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    certificate: str | None = None
    serial_number: str | None = None
    operation: str = Operation.NONE
    authentication_string: str | None = None
    completes_by: str | None = None
    operation_status: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> EarlierPhone:
        """Return the phone that has these fields."""
        own = {item.name for item in fields(cls)} & {name for name, value in given.items() if value is not None}
        settings = {name: given[name] for name in phones.DEFAULTS if given.get(name) is not None}
        return cls(settings=settings, **{name: given[name] for name in own})


@dataclass(slots=True)
class ImportCounts:
    """Numbers of phones, certificates and operations that are imported, or left as they are."""

    created: int = 0
    certificates: int = 0
    operations: int = 0
    unchanged: int = 0
    conflicts: int = 0
    not_taken: int = 0


@dataclass(slots=True)
class Import:
    """What the import does or would do.

    ``after`` has the new data of each phone by device name, ``conflicts`` the differences to this server, ``not_taken``
    the parts of phones that are left out.
    """

    asked: int
    counts: ImportCounts = field(default_factory=ImportCounts)
    created: set[str] = field(default_factory=set)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    conflicts: list[dict[str, str]] = field(default_factory=list)
    not_taken: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, name: str, **new: Any) -> None:
        """Note new data of a phone."""
        self.after.setdefault(name, {}).update(new)

    @property
    def results(self) -> list[Change]:
        """The phones with new data."""
        return [Change(name, None if name in self.created else {}, after) for name, after in self.after.items()]


@dataclass(frozen=True, slots=True)
class _ImportedPhone:
    """One phone of the import."""

    index: int
    name: str
    item: EarlierPhone
    lsc: earlier_lsc.Given | None
    completes_by: int | None

    @property
    def settings(self) -> dict[str, Any]:
        """The given settings; a phone whose MIC is imported has a MIC."""
        has_mic = self.lsc is not None and self.lsc.row is None
        return {**self.item.settings, "mic": True} if has_mic else dict(self.item.settings)

    @property
    def row(self) -> CertificateRow | None:
        """Its LSC, as a row of the record."""
        return None if self.lsc is None else self.lsc.row

    @property
    def pending(self) -> Operation:
        """The operation that is pending on the earlier CAPF."""
        return Operation(self.item.operation)


@dataclass(frozen=True, slots=True)
class Reading:
    """The parsed items of an import; ``problems`` stop it, ``left_out`` are the parts that cannot be taken."""

    phones: list[_ImportedPhone]
    problems: list[Problem]
    left_out: list[Problem]


def read(context: Context, items: Sequence[EarlierPhone]) -> Reading:
    """Read the items of an import with their certificates. This takes long and needs no database."""
    problems = phones.name_problems([item.device_name for item in items], f"{_FIELD}.device_name")
    trust = forecast.trust_of(context)
    given, left_out = [], list[Problem]()
    for index, item in enumerate(items):
        where, name, lsc, completes_by = _FIELD.format(index), item.device_name, None, None
        problems += phones.choice_problems(item.settings, f"{where}.")
        if item.certificate:
            found = earlier_lsc.read(item.certificate, name, trust, context.now)
            if isinstance(found, str):
                left_out.append(Problem(f"{where}.certificate", "(certificate)", found))
            elif wrong := _serial_problem(f"{where}.serial_number", item.serial_number, found.row):
                left_out += wrong
            else:
                lsc = found
        if item.completes_by:
            try:
                completes_by = moment.read(item.completes_by, f"{where}.completes_by")
            except InvalidRequestError as error:
                left_out += error.problems
        given.append(_ImportedPhone(index, name, item, lsc, completes_by))
    return Reading(given, problems, left_out)


def _serial_problem(where: str, given: str | None, row: CertificateRow | None) -> list[Problem]:
    """Return a problem if a serial number differs from that of its certificate."""
    if not given or row is None or given.lower().lstrip("0") == row.serial_number.lstrip("0"):
        return []
    message = f"{given!r} is not the certificate's serial number; give {row.serial_number}, or leave it out"
    return [Problem(where, given, message)]


def carry_out(tx: Transaction, reading: Reading, *, strict: bool = False, confirm: int | None = None) -> Import:
    """Import the phones that were read, without what cannot be taken of them; InvalidRequestError lists all problems.

    ``strict``: everything of every phone, or nothing at all; ``confirm``: the number of phones whose LSC a pending
    operation deletes, where they are many.
    """
    names = [phone.name for phone in reading.phones]
    serials = certificate_rows.by_serial_numbers(
        tx.connection, [phone.row.serial_number for phone in reading.phones if phone.row]
    )
    known = rows.fields_of(tx.connection, names)
    doubled = _collisions(reading.phones, serials)
    left_out = [*reading.left_out, *doubled.values(), *_unused_strings(tx, reading.phones, known)]
    if reading.problems or (strict and left_out):
        raise InvalidRequestError([*reading.problems, *left_out])
    given = [replace(phone, lsc=None) if phone.index in doubled else phone for phone in reading.phones]
    recorded = certificate_rows.phones_with_any(tx.connection, names)
    done = Import(len(given), conflicts=_conflicts(tx.connection, given, known, recorded, serials))
    new = [phone for phone in given if phone.name not in known]
    _add_phones(tx, new, done)
    _add_lscs(tx, [phone for phone in given if phone.name not in recorded], done)
    refused = _add_operations(tx, new, done, confirm)
    if strict and refused:
        raise InvalidRequestError(refused)
    done.not_taken = [_shown(problem, names) for problem in (*left_out, *refused)]
    idle = [phone.name for phone in new if phone.pending is Operation.NONE]
    expected = schedule.expected_failures(tx, idle)
    done.warnings += phones.secure_warnings(tx.connection, done.results)
    done.warnings += [schedule.probable_failure(names, doubt.reason) for doubt, names in expected.items()]
    done.warnings += _left_out(done.not_taken) + _not_accepted(given) + _failures(given)
    done.counts.unchanged, done.counts.conflicts = done.asked - len(done.after), len(done.conflicts)
    done.counts.not_taken = len(done.not_taken)
    return done


def _shown(problem: Problem, names: Sequence[str]) -> dict[str, str]:
    """Return the parts of phones that are left out, with the names of phones instead of their indexes."""
    found = _INDEX.match(problem.field)
    index, part = (0, problem.field) if found is None else (int(found[1]), problem.field[found.end() + 1 :])
    message = _INDEX.sub(lambda other: names[int(other[1])], problem.message)
    return {"device_name": names[index], "field": part or "operation", "message": message}


def _left_out(not_taken: Sequence[Mapping[str, str]]) -> list[str]:
    """Warn about phones that are imported without something."""
    if not not_taken:
        return []
    first = not_taken[0]
    parts = counted(len({item[NAME] for item in not_taken}), "phone")
    what = f"{first['field']} of {first['device_name']}: {first['message']}"
    return [f"{parts} imported without an operation, a string or a certificate; the first is {what}"]


def _not_accepted(given: Sequence[_ImportedPhone]) -> list[str]:
    """Warn about certificates that a session would not accept (P56)."""
    strange, others = list[str](), list[str]()
    for phone in given:
        if phone.lsc is None or not phone.lsc.problem:
            continue
        untrusted = phone.lsc.row is not None and not phone.lsc.trusted
        (strange if untrusted else others).append(f"the first, of {phone.name}: {phone.lsc.problem}")
    warnings = []
    if strange:
        warnings.append(
            f"{counted(len(strange), 'LSC')} of a CAPF that is not trusted here: phones cannot authenticate with them"
            f" until capf_certificate trusts it; {strange[0]}"
        )
    if others:
        warnings.append(f"{counted(len(others), 'certificate')} that no session accepts; {others[0]}")
    return warnings


def _failures(given: Sequence[_ImportedPhone]) -> list[str]:
    """Return a warning for each Operation Status on the earlier CAPF that is a failure, or that is unknown."""
    statuses = Counter(phone.item.operation_status for phone in given if phone.item.operation_status)
    return [
        f"{counted(number, 'phone')} with the Operation Status {cells.shown(text)} on the earlier CAPF;"
        f" {status_of(text).advice}"
        for text, number in statuses.most_common(_SHOWN_STATUSES)
        if status_of(text).words == "Failed" or not is_known_status(text)
    ]


def _unused_strings(tx: Transaction, given: Sequence[_ImportedPhone], known: Collection[str]) -> list[Problem]:
    """Return a problem for each wrong string of a phone for which nothing is scheduled."""
    used = {phone.name for phone in given if phone.name not in known and phone.pending is not Operation.NONE}
    return strings.problems(
        tx,
        [
            {} if phone.name in used else {NAME: phone.name, strings.FIELD: phone.item.authentication_string}
            for phone in given
        ],
    )


def _collisions(given: Sequence[_ImportedPhone], here: Mapping[str, CertificateRow]) -> dict[int, Problem]:
    """Return a problem for each serial number that another certificate has, here or in the import, by the index."""
    problems, seen = dict[int, Problem](), dict[str, int]()
    for phone in given:
        if phone.row is None:
            continue
        serial, where = phone.row.serial_number, f"{_FIELD.format(phone.index)}.serial_number"
        if serial in here and here[serial].der != phone.row.der:
            other = here[serial].device_name
            message = f"{serial} is the serial number of another certificate, of {other}; check both certificates"
            problems[phone.index] = Problem(where, serial, message)
        elif serial in seen:
            other = _FIELD.format(seen[serial])
            message = f"{serial} is also the serial number of {other}; give each certificate once"
            problems[phone.index] = Problem(where, serial, message)
        seen.setdefault(serial, phone.index)
    return problems


def _conflicts(
    connection: Connection,
    given: Sequence[_ImportedPhone],
    known: Mapping[str, Mapping[str, Any]],
    recorded: set[str],
    serials: Mapping[str, CertificateRow],
) -> list[dict[str, str]]:
    """Return the differences between the import and this server, whose values are kept."""
    active = certificate_rows.active(connection, [phone.name for phone in given])
    found = []
    for phone in given:
        here = known.get(phone.name)
        differing: list[tuple[str, Any, Any]] = []
        if here is not None:
            differing += [(name, here[name], value) for name, value in phone.settings.items() if here[name] != value]
        if phone.row is not None and phone.name in recorded and phone.row.serial_number not in serials:
            own = active[phone.name].serial_number if phone.name in active else "none"
            differing.append(("lsc_serial_number", own, phone.row.serial_number))
        found += [
            {"device_name": phone.name, "field": name, "here": str(own), "imported": str(other)}
            for name, own, other in differing
        ]
    return found


def _add_phones(tx: Transaction, new: Sequence[_ImportedPhone], done: Import) -> None:
    wanted = [{"device_name": phone.name, **phone.settings} for phone in new]
    for change in phones.ensure(tx, wanted, "present").results:
        done.created.add(change.name)
        done.after[change.name] = dict(change.after or {})
    done.counts.created = len(new)


def _add_lscs(tx: Transaction, given: Sequence[_ImportedPhone], done: Import) -> None:
    """Record the LSCs of phones without a certificate on record."""
    added = [phone.lsc for phone in given if phone.lsc is not None and phone.lsc.row is not None]
    found = [item.row for item in added if item.row is not None]
    certificate_rows.add_many(tx.connection, found)
    for row in found:
        done.note(row.device_name, lsc_serial_number=row.serial_number, lsc_issued_by=row.issuer)
        tx.audit("import LSC", row.device_name, serial_number=row.serial_number)
    done.counts.certificates = len(found)


def _add_operations(tx: Transaction, new: Sequence[_ImportedPhone], done: Import, confirm: int | None) -> list[Problem]:
    """Schedule the operations that are pending on the earlier CAPF, and return the problems of those that cannot be;
    an overdue one gets the time of new operations."""
    groups: dict[tuple[Operation, int | None], list[_ImportedPhone]] = {}
    for phone in new:
        if phone.pending is not Operation.NONE:
            late = phone.completes_by is None or phone.completes_by <= tx.now
            groups.setdefault((phone.pending, None if late else phone.completes_by), []).append(phone)
    count, deleting, problems = 0, 0, []
    for (operation, completes_by), members in groups.items():
        items = [schedule.RequestedPhone(phone.name, string=phone.item.authentication_string) for phone in members]
        request = schedule.OperationRequest(operation, items, completes_by=completes_by)
        plan = schedule.schedule_others(tx, request)
        problems += [_moved(problem, members) for problem in plan.problems]
        count += len(plan.scheduled)
        deleting += len(plan.scheduled) if operation is Operation.DELETE else 0
        done.warnings += plan.warnings
        for name in plan.scheduled:
            done.note(name, certificate_operation=operation.value)
    confirmation.require(tx, deleting, confirm, schedule.DELETES)
    done.counts.operations = count
    return problems


def _moved(problem: Problem, members: Sequence[_ImportedPhone]) -> Problem:
    """Return a problem of a group with the index that the phone has in the import."""
    place = _INDEX.sub(lambda found: _FIELD.format(members[int(found[1])].index), problem.field)
    return replace(problem, field=place)
