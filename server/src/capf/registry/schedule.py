# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules certificate operations in bulk, declaratively, and completely or not at all (R26, R10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from capf.certificates.secretbox import generate_string
from capf.model import (
    STATUS_NONE,
    STATUS_PENDING,
    AuthenticationMode,
    InvalidRequestError,
    KeySpec,
    Operation,
    Problem,
    State,
    counted,
)
from capf.phone_session.dialogue import NO_KEY
from capf.registry import confirmation, forecast, lifecycle, need, strings
from capf.registry.changes import Change
from capf.registry.context import Context
from capf.registry.parts import NOT_TRIED
from capf.registry.phone_fields import NAME
from capf.registry.phones import choice_problems, name_problems, not_registered
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rows
from capf.store.rows import NewOperation
from capf.store.schema import CertificateRow, OperationRow, PhoneRow

LSC_IS_RIGHT = "LSC is right"
DELETES = "delete the LSCs of {}"
"""What ``confirmation`` says that many operations of this kind do."""
_LONG_ENOUGH = 6
"""The number of digits from which an authentication string causes no warning."""
IN_SESSION = "in a session now"
"""Why a phone is skipped if its session does something different from the request: the phone may already be done, which
cannot be undone."""


class OperationSettings(NamedTuple):
    """How a phone authenticates for an operation, and which key it generates."""

    authentication_mode: str
    key_order: str
    key_size: int
    ec_key_size: int

    @classmethod
    def of(cls, operation: OperationRow) -> OperationSettings:
        """Return the settings of a scheduled operation."""
        return cls(operation.authentication_mode, operation.key_order, operation.key_size, operation.ec_key_size)


SETTINGS = OperationSettings._fields


@dataclass(frozen=True, slots=True)
class RequestedPhone:
    """A phone of a request, with its own settings and the authentication string that the administrator gives it."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    string: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RequestedPhone:
        """Return the item that has these fields."""
        own = {key: given[key] for key in SETTINGS if given.get(key) is not None}
        return cls(str(given[NAME]), own, given.get(strings.FIELD))


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An administrator's request for a list of phones.

    ``defaults``: settings of the items without their own. ``completes_by``: epoch seconds in the future;
    ``renew_before``: renew an LSC that expires within this number of days. ``cautious``: skip the phones that would
    fail by what is on record (``registry.forecast``); otherwise those that fail for certain are refused, and a warning
    names the others. ``confirm``: the number of phones whose LSC is deleted, where they are many. ``known``: the rows
    of these phones, where the caller has read them.
    """

    operation: Operation
    items: Sequence[RequestedPhone]
    item_field: str = "phones[{}]"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    completes_by: int | None = None
    renew_before: int = 0
    force: bool = False
    cautious: bool = False
    confirm: int | None = None
    known: Mapping[str, PhoneRow] | None = None


@dataclass(slots=True)
class Scheduled:
    """What the request does or would do: device names by result, and each change.

    ``adding``: the phones that get an operation, each with the reason; ``results`` has their changes once it is added.
    """

    completes_by: int
    scheduled: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, Problem] = field(default_factory=dict)
    results: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    adding: list[tuple[_ScheduledPhone, str]] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubts: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, name: str, reason: str) -> None:
        """Skip a phone."""
        self.skipped.setdefault(reason, []).append(name)

    def refuse(self, name: str, problem: Problem) -> None:
        """Note the problem of a phone, which is left unchanged."""
        self.problems.append(problem)
        self.refused.setdefault(name, problem)


@dataclass(frozen=True, slots=True)
class _ScheduledPhone:
    """One phone of the request with its data on the server."""

    name: str
    field: str
    row: PhoneRow
    last: OperationRow | None
    certificate: CertificateRow | None
    settings: OperationSettings
    string: str | None

    @property
    def open(self) -> OperationRow | None:
        return self.last if lifecycle.is_open(self.last) else None

    @property
    def known(self) -> forecast.KnownPhone:
        """The facts on record about the phone."""
        status = "" if self.last is None else self.last.status
        mode, cannot = self.row.device_security_mode, _unmade(self.last)
        return forecast.KnownPhone(self.name, self.row.mic, self.certificate, mode, status, cannot)

    def wanted(self, operation: Operation) -> forecast.PlannedOperation:
        """Return the operation as the phone would have it."""
        mode, *key = self.settings
        return forecast.PlannedOperation(operation, mode, self.settings.key_order, need.keys(*key))

    @property
    def by_string(self) -> bool:
        """True if somebody has to enter a string."""
        return self.settings.authentication_mode == AuthenticationMode.STRING

    @property
    def in_session(self) -> bool:
        """True if a session carries out the open operation, which must not be disturbed."""
        return lifecycle.in_session(self.open)


def schedule(tx: Transaction, request: OperationRequest) -> Scheduled:
    """Schedule (or cancel) an operation for every phone of the request; InvalidRequestError lists all problems."""
    plan = make_plan(tx, request)
    _carry_out(tx, request, plan)
    return plan


def schedule_others(tx: Transaction, request: OperationRequest) -> Scheduled:
    """Do what ``schedule`` does for all phones except the ``refused`` ones, which the plan lists."""
    plan = _plan(tx, request)
    _carry_out(tx, request, plan)
    return plan


def _carry_out(tx: Transaction, request: OperationRequest, plan: Scheduled) -> None:
    ended = {"ended_at": tx.now, "status": STATUS_NONE, "problem": "cancelled by the administrator"}
    rows.cancel_operations(tx.connection, plan.replaced, ended)
    rows.add_operations(tx.connection, [_new(tx, request, phone, plan) for phone, _reason in plan.adding])
    plan.results += [_change(request, phone, reason) for phone, reason in plan.adding]
    for change in plan.results:
        tx.audit("schedule operation", change.name, **(change.after or {}))


def make_plan(tx: Transaction, request: OperationRequest) -> Scheduled:
    """Return what ``schedule`` would do, without doing it; InvalidRequestError lists all problems."""
    plan = _plan(tx, request)
    if plan.problems:
        raise InvalidRequestError(plan.problems)
    if request.operation is Operation.DELETE:
        confirmation.require(tx, len(plan.scheduled), request.confirm, DELETES)
    return plan


def expected_failures(tx: Transaction, names: Sequence[str]) -> dict[forecast.Doubt, list[str]]:
    """Return the phones among ``names`` that need an LSC and would fail by their own settings, by why (P54).

    The ``why`` of each doubt is its ``what``, which all its phones have in common. There are none while the CAPF key
    cannot be used, which stops everything.
    """
    if not tx.context.authority.usable:
        return {}
    request = OperationRequest(Operation.INSTALL, [RequestedPhone(name) for name in names])
    plan = Scheduled(0)
    due = [phone for phone in _phones(tx, request, plan) if _reason(tx.context, request, phone, tx.now) is not None]
    found: dict[forecast.Doubt, list[str]] = {}
    for name, doubt in _doubts(tx, request, plan, due).items():
        found.setdefault(replace(doubt, why=doubt.what), []).append(name)
    return found


def _plan(tx: Transaction, request: OperationRequest) -> Scheduled:
    now = tx.now
    days = tx.in_force.number("CAPF Operation Expires in (days)")
    given = request.completes_by
    plan = Scheduled(given or now + days * need.SECONDS_A_DAY)
    phones = _phones(tx, request, plan)
    reasons = {phone.name: _reason(tx.context, request, phone, now) for phone in phones}
    doubts = _doubts(tx, request, plan, [phone for phone in phones if reasons[phone.name] is not None])
    for phone in phones:
        doubt = doubts.get(phone.name)
        if doubt is None or not _leave_out(request, phone, doubt, plan):
            _decide(tx.context, request, phone, plan, reasons[phone.name], now)
    plan.warnings = _warnings(plan, encrypted=tx.in_force.flag("TFTP Encrypted Config"))
    plan.warnings += _short_strings(plan, phones)
    plan.warnings += _doubt_warnings(tx, request, plan)
    return plan


def _doubts(
    tx: Transaction, request: OperationRequest, plan: Scheduled, phones: Sequence[_ScheduledPhone]
) -> dict[str, forecast.Doubt]:
    """Return the phones that would fail according to the record, unless they are already refused or in a session."""
    if request.operation is Operation.NONE:
        return {}
    judged = [phone for phone in phones if phone.name not in plan.refused and not phone.in_session]
    return forecast.judge(tx, [(phone.known, phone.wanted(request.operation)) for phone in judged])


def _leave_out(request: OperationRequest, phone: _ScheduledPhone, doubt: forecast.Doubt, plan: Scheduled) -> bool:
    """Skip or refuse a phone that would fail, and return whether it was; else note it for a warning."""
    if request.cautious:
        plan.skip(phone.name, f"{NOT_TRIED}: it {doubt.reason}")
        return True
    if doubt.certain:
        mode, message = phone.settings.authentication_mode, f"{phone.name} {doubt.why}; {doubt.todo}"
        plan.refuse(phone.name, Problem(f"{phone.field}.authentication_mode", mode, message))
        return True
    plan.doubts.setdefault(doubt.reason, []).append(phone.name)
    return False


def _doubt_warnings(tx: Transaction, request: OperationRequest, plan: Scheduled) -> list[str]:
    """Warn about phones that will probably fail, and about a CAPF that cannot issue certificates (P54, P55)."""
    warnings = [probable_failure(names, reason) for reason, names in plan.doubts.items()]
    why = forecast.nothing_is_issued(tx.context, tx.now)
    if why and request.operation is Operation.INSTALL and (plan.scheduled or plan.pending):
        warnings.append(f"{why}: no LSC is issued before ucm.capf.capf_certificate renews it")
    return warnings


def probable_failure(names: Sequence[str], reason: str) -> str:
    """Return the warning about phones that have the same reason to fail."""
    return f"{counted(len(names), 'phone')} will probably fail: the first, {names[0]}, {reason}"


def _short_strings(plan: Scheduled, phones: Sequence[_ScheduledPhone]) -> list[str]:
    """Warn about strings that are easy to guess, with one warning for all of them."""
    names = {*plan.scheduled, *plan.pending}
    short = [phone.name for phone in phones if phone.name in names and 0 < len(phone.string or "") < _LONG_ENOUGH]
    if not short:
        return []
    return [
        f"authentication strings of 4 or 5 digits are easy to guess; this list has {len(short)}, the first for"
        f" {short[0]}: use 8 digits, or leave the strings out and the server generates them"
    ]


def _warnings(plan: Scheduled, *, encrypted: bool) -> list[str]:
    """Warn about phones skipped because of a session, and phones that may not recover without their string (R15)."""
    warnings = []
    busy = plan.skipped.get(IN_SESSION)
    if busy:
        warnings.append(
            f"{counted(len(busy), 'phone')} skipped because of a session, the first of them {busy[0]};"
            " repeat the request when the session has ended"
        )
    by_string = [phone.name for phone, _reason in plan.adding if phone.by_string]
    if encrypted and by_string:
        warnings.append(
            f"TFTP Encrypted Config is True: {counted(len(by_string), 'phone')} by authentication string, the first of"
            f" them {by_string[0]}, may not recover until the string is entered"
        )
    return warnings


def _phones(tx: Transaction, request: OperationRequest, plan: Scheduled) -> list[_ScheduledPhone]:
    """Look up all phones of the request at once, and note the problems of their items."""
    names = [item.name for item in request.items]
    plan.problems += name_problems(
        names, request.item_field + ("" if request.item_field == "phones[{}]" else ".device_name")
    )
    known = rows.phones_of(tx.connection, names) if request.known is None else request.known
    last = rows.operations_of(tx.connection, names)
    certificates = certificate_rows.active(tx.connection, names)
    key_size = tx.in_force.number("Key Size")
    found = []
    for index, item in enumerate(request.items):
        name, where = item.name, request.item_field.format(index)
        row = known.get(name)
        for problem in _item_problems(tx.context, item, where, last.get(name)):
            plan.refuse(name, problem)
        if row is None:
            plan.refuse(name, not_registered(where, name))
            continue
        settings = _settings(request.defaults, item.settings, row, key_size)
        phone = _ScheduledPhone(name, where, row, last.get(name), certificates.get(name), settings, item.string)
        refusal = _refusal(request.operation, phone)
        if refusal is not None:
            plan.refuse(name, refusal)
        found.append(phone)
    return found


def _unmade(last: OperationRow | None) -> tuple[KeySpec, ...]:
    """Return the keys that a phone's last operation asked for, if the phone proved itself and could not make one."""
    if last is None or last.state != State.FAILED or last.problem != NO_KEY:
        return ()
    return need.keys(last.key_order, last.key_size, last.ec_key_size)


def _settings(
    defaults: Mapping[str, Any], given: Mapping[str, Any], phone: PhoneRow, key_size: int
) -> OperationSettings:
    """Return a phone's settings: those given, or its own; ``key_size`` is the fallback."""
    own = OperationSettings(phone.authentication_mode, phone.key_order, phone.key_size or key_size, phone.ec_key_size)
    return own._replace(**{**defaults, **given}) if defaults or given else own


def _item_problems(context: Context, item: RequestedPhone, where: str, last: OperationRow | None) -> list[Problem]:
    wrong = None if item.string is None else strings.problem(where, item.string, strings.pending(context, last))
    return choice_problems(item.settings, f"{where}.") + ([] if wrong is None else [wrong])


def _reason(context: Context, request: OperationRequest, phone: _ScheduledPhone, now: int) -> str | None:
    """Return why this phone gets the operation, None if its LSC is right and nothing is pending."""
    if request.operation is not Operation.INSTALL:
        return "asked for"
    keys = need.keys(phone.settings.key_order, phone.settings.key_size, phone.settings.ec_key_size)
    wanted = need.WantedLsc(keys, context.authority.key_id, request.renew_before, request.force)
    replaced = None if phone.open is None else "replaces another operation"
    return need.reason(phone.certificate, wanted, now) or replaced


def _decide(
    context: Context, request: OperationRequest, phone: _ScheduledPhone, plan: Scheduled, reason: str | None, now: int
) -> None:
    """Add one phone to the plan."""
    if request.operation is Operation.NONE:
        _cancel(phone, plan)
    elif phone.name in plan.refused:
        pass
    elif reason is None:
        plan.skip(phone.name, LSC_IS_RIGHT)
    elif phone.open is not None and _goes_on(context, request, phone, phone.open, now):
        plan.pending.append(phone.name)
    elif phone.in_session:
        plan.skip(phone.name, IN_SESSION)
    else:
        _add(phone, plan, reason)


def _cancel(phone: _ScheduledPhone, plan: Scheduled) -> None:
    if phone.open is None:
        plan.skip(phone.name, "no pending operation")
        return
    if phone.in_session:
        plan.skip(phone.name, IN_SESSION)
        return
    plan.cancelled.append(phone.name)
    plan.replaced.append(phone.open.id)
    before = {"certificate_operation": phone.open.operation, "operation_status": phone.open.status}
    after = {"certificate_operation": Operation.NONE.value, "operation_status": STATUS_NONE}
    plan.results.append(Change(phone.name, before, after, "cancelled"))


def _refusal(operation: Operation, phone: _ScheduledPhone) -> Problem | None:
    """Return why this phone may not have this operation (R26), None if it may."""
    if operation is Operation.DELETE and phone.certificate is None:
        return Problem(phone.field, phone.name, f"{phone.name} has no LSC to delete; leave the phone out")
    if operation is Operation.TROUBLESHOOT and phone.certificate is None and not phone.row.mic:
        message = f"{phone.name} has neither an LSC nor a MIC to fetch; leave the phone out, or register its MIC"
        return Problem(phone.field, phone.name, message)
    if phone.string is not None and not phone.by_string:
        message = f"a string needs the mode {AuthenticationMode.STRING}; leave the string out, or set that mode"
        return Problem(f"{phone.field}.{strings.FIELD}", strings.HIDDEN, message)
    return None


def _goes_on(
    context: Context, request: OperationRequest, phone: _ScheduledPhone, pending: OperationRow, now: int
) -> bool:
    """True if the phone's open operation is the wanted one; its deadline matters only until it is carried out."""
    given = request.completes_by
    same = pending.operation == request.operation and OperationSettings.of(pending) == phone.settings
    in_time = phone.in_session or (pending.completes_by > now and given in (None, pending.completes_by))
    return same and in_time and _keeps_string(context, phone, pending)


def _keeps_string(context: Context, phone: _ScheduledPhone, pending: OperationRow) -> bool:
    """True if the open operation has the wanted string, or any readable one if none is wanted."""
    string = strings.of(context, pending)
    readable = string is not None or pending.authentication_string is None
    return readable and phone.string in (None, string)


def _add(phone: _ScheduledPhone, plan: Scheduled, reason: str) -> None:
    if phone.open is not None:
        plan.replaced.append(phone.open.id)
    plan.scheduled.append(phone.name)
    plan.adding.append((phone, reason))


def _new(tx: Transaction, request: OperationRequest, phone: _ScheduledPhone, plan: Scheduled) -> NewOperation:
    """Return the row of a phone's new operation."""
    string = (phone.string or generate_string()) if phone.by_string else None
    return NewOperation(
        phone.name,
        request.operation.value,
        *phone.settings,
        authentication_string=None if string is None else tx.context.secrets.encrypt(string, phone.name),
        completes_by=plan.completes_by,
        state=State.PENDING.value,
        status=STATUS_PENDING,
        created_at=tx.now,
    )


def _change(request: OperationRequest, phone: _ScheduledPhone, reason: str) -> Change:
    """Return the change of a phone that gets a new operation."""
    before = {
        "certificate_operation": Operation.NONE.value if phone.open is None else phone.open.operation,
        "operation_status": STATUS_NONE if phone.last is None else phone.last.status,
    }
    after = {"certificate_operation": request.operation.value, "operation_status": STATUS_PENDING}
    return Change(phone.name, before, after, reason)
