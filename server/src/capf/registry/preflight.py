# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checklist for certificate operations: the items of Table 10-2, and what to do (R22, R33, R17)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from capf.model import AuthenticationMode, counted
from capf.registry import ctl_file, faults, forecast, guessing, health, moment, parameters, schedule, service
from capf.registry.transaction import Transaction
from capf.store import rows
from capf.store.rows import ChecklistRow

_NAMED = 5
STRING = AuthenticationMode.STRING.value


class ChecklistResult(StrEnum):
    """The result of an item; a failed one has to be fixed before operations are scheduled."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One line of the checklist; ``todo`` says what to do about it, and is empty if it is ok."""

    name: str
    step: str
    result: ChecklistResult
    message: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """The request: the phones to check (None: all), the expected parameters, and the subscribers.

    The problems of subscribers: ``refusing`` have a different administrator name or password, ``unreachable`` do not
    answer. ``cannot_reset``: the server has to reset phones, but has no command for it.
    """

    phones: Sequence[str] | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    nodes: Sequence[str] = ()
    refusing: Mapping[str, str] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)
    cannot_reset: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """The data that the items need, read once."""

    tx: Transaction
    question: Question
    found: Sequence[ChecklistRow]
    unknown: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The checklist, and which of the phones have an LSC."""

    items: list[ChecklistItem]
    installed: list[str]
    not_installed: list[str]
    unknown: list[str]


def check(tx: Transaction, question: Question) -> Answer:
    """Check every item; InvalidRequestError lists invalid expected parameters."""
    found = rows.for_checklist(tx.connection, question.phones)
    unknown = sorted(set(question.phones or ()) - {phone.device_name for phone in found})
    state = _State(tx, question, found, unknown)
    return Answer(
        items=[item(state) for item in ITEMS],
        installed=[phone.device_name for phone in found if phone.lsc_expires is not None],
        not_installed=[phone.device_name for phone in found if phone.lsc_expires is None],
        unknown=unknown,
    )


def worst(items: Sequence[ChecklistItem]) -> ChecklistResult:
    """Return the result of the whole checklist."""
    results = {item.result for item in items}
    return next(
        (result for result in (ChecklistResult.FAILED, ChecklistResult.WARNING) if result in results),
        ChecklistResult.OK,
    )


def _names(names: Sequence[str]) -> str:
    """Return the first few names and the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _lsc(state: _State) -> ChecklistItem:
    now = state.tx.now
    having = [phone for phone in state.found if phone.lsc_expires is not None]
    expired = [phone.device_name for phone in having if phone.lsc_expires is not None and phone.lsc_expires <= now]
    message = f"{counted(len(having), 'phone')} with an LSC, {len(state.found) - len(having):,} without"
    if not expired:
        return ChecklistItem("LSC on the phones", "1", ChecklistResult.OK, message)
    message += f"; it has expired on {len(expired)}: {_names(expired)}"
    return ChecklistItem(
        "LSC on the phones", "1", ChecklistResult.WARNING, message, "ucm.capf.phone_operations renews expired LSCs"
    )


def _data(state: _State) -> ChecklistItem:
    name = "CAPF data"
    if state.unknown:
        message = f"{counted(len(state.unknown), 'phone')} not registered with the server: {_names(state.unknown)}"
        todo = "ucm.capf.phones registers them; data of an earlier CAPF has to be imported first"
        return ChecklistItem(name, "1", ChecklistResult.WARNING, message, todo)
    if not state.found:
        todo = "ucm.capf.phones registers phones; data of an earlier CAPF has to be imported first"
        return ChecklistItem(name, "1", ChecklistResult.WARNING, "no phone is registered with the server", todo)
    registered = f"{counted(len(state.found), 'phone')} registered with the server"
    return ChecklistItem(name, "1", ChecklistResult.OK, registered)


def _service(state: _State) -> ChecklistItem:
    name = "CAPF service"
    if not state.tx.context.first_node:
        todo = "ask the first node: CAPF runs there only"
        return ChecklistItem(name, "2", ChecklistResult.FAILED, "this is a subscriber of the cluster", todo)
    if not service.is_activated(state.tx.connection):
        todo = "ucm.capf.capf_service with state started; make the CTL file again afterwards"
        return ChecklistItem(name, "2", ChecklistResult.FAILED, "CAPF is not activated", todo)
    if state.tx.context.running is None:
        todo = "ucm.capf.capf_service with state started starts it once the cause is gone; the server does so too"
        message = f"CAPF is activated but not running: {health.why_stopped(state.tx.context)}"
        return ChecklistItem(name, "2", ChecklistResult.FAILED, message, todo)
    return ChecklistItem(name, "2", ChecklistResult.OK, "CAPF is activated and running on the first node")


def _damage(state: _State) -> ChecklistItem:
    name, found = "Keys and database", faults.find(state.tx)
    if not found:
        return ChecklistItem(name, "2", ChecklistResult.OK, "the server can read everything that it stores")
    result = ChecklistResult.FAILED if any(fault.stops_capf for fault in found) else ChecklistResult.WARNING
    message = "; ".join(f"{fault.where}: {fault.problem}" for fault in found[:_NAMED])
    return ChecklistItem(name, "2", result, message, "; ".join(dict.fromkeys(fault.todo for fault in found[:_NAMED])))


def _capf_certificate(state: _State) -> ChecklistItem:
    name, authority = "CAPF certificate", state.tx.context.authority
    if not authority.usable:
        return ChecklistItem(name, "3", ChecklistResult.FAILED, "its file cannot be used", "see Keys and database")
    expires = authority.certificate.not_valid_after_utc
    todo = "ucm.capf.capf_certificate renews it; no LSC outlives it"
    why = forecast.nothing_is_issued(state.tx.context, state.tx.now)
    if why:
        return ChecklistItem(name, "3", ChecklistResult.FAILED, why, todo)
    warnings = health.warnings(state.tx.context)
    if warnings:
        return ChecklistItem(name, "3", ChecklistResult.WARNING, "; ".join(warnings), todo)
    return ChecklistItem(name, "3", ChecklistResult.OK, f"it is valid until {expires:%Y-%m-%d}")


def _ctl_file(state: _State) -> ChecklistItem:
    name, now = "CTL file", ctl_file.status(state.tx)
    reasons = "; ".join(now.reasons)
    if now.state is ctl_file.Freshness.OUTDATED:
        todo = "make one with ucm.capf.ctl_file, and publish it with ucm.capf.files_publish; phones fetch it at a reset"
        return ChecklistItem(name, "3", ChecklistResult.FAILED, f"it is outdated: {reasons}", todo)
    if now.state is ctl_file.Freshness.MISSING:
        todo = "ucm.capf.ctl_file makes it; a file of another CTL client has to list this CAPF certificate"
        return ChecklistItem(name, "3", ChecklistResult.WARNING, reasons, todo)
    return ChecklistItem(name, "3", ChecklistResult.OK, "it is current and lists the CAPF certificate")


def _nodes(state: _State) -> ChecklistItem:
    name, question = "Administrator on all nodes", state.question
    if question.refusing:
        named = "; ".join(f"{node}: {problem}" for node, problem in question.refusing.items())
        return ChecklistItem(
            name, "3", ChecklistResult.FAILED, named, "give all nodes the same administrator name and password"
        )
    if question.unreachable:
        named = "; ".join(f"{node}: {problem}" for node, problem in question.unreachable.items())
        return ChecklistItem(
            name, "3", ChecklistResult.WARNING, named, "bring the node up; the next run publishes its files"
        )
    message = f"the same name and password on {counted(len(question.nodes), 'subscriber')}"
    return ChecklistItem(name, "3", ChecklistResult.OK, message)


def _parameters(state: _State) -> ChecklistItem:
    name, stored = "Parameters", parameters.stored(state.tx.connection)
    wanted = parameters.check_any(state.question.parameters)
    parameters.check_listening(stored, wanted, state.tx.context.why_not_listen)
    different = [
        f"{key} is {stored.values[key]}, expected is {value}"
        for key, value in wanted.items()
        if stored.values[key] != value
    ]
    if different:
        todo = "ucm.capf.service_parameters and ucm.capf.enterprise_parameters set them"
        return ChecklistItem(name, "4", ChecklistResult.FAILED, "; ".join(different), todo)
    if state.tx.context.running is not None and state.tx.context.running != stored:
        todo = "ucm.capf.capf_service with state restarted restarts CAPF"
        return ChecklistItem(name, "4", ChecklistResult.FAILED, "changed parameters wait for a restart of CAPF", todo)
    return ChecklistItem(name, "4", ChecklistResult.OK, "they are in effect with the expected values")


def _strings(state: _State) -> ChecklistItem:
    """Check the phones whose users have to enter a string: they must be able to, and stay reachable until then."""
    name = "Authentication strings"
    phones = [phone for phone in state.found if phone.authentication_mode == STRING]
    stuck = [
        phone.device_name
        for phone in phones
        if forecast.never_registers(STRING, phone.device_security_mode, has_lsc=phone.lsc_expires is not None)
    ]
    if stuck:
        message = f"secure phones without an LSC cannot register, so nobody can enter a string: {_names(stuck)}"
        return ChecklistItem(
            name, "6", ChecklistResult.WARNING, message, "set them to Non Secure, or to another Authentication Mode"
        )
    guessed = _guessed(state, [phone.device_name for phone in phones])
    if guessed:
        todo = "wait, or unlock phones with ucm.capf.phone_unlock; if many phones share an address, raise"
        return ChecklistItem(name, "6", ChecklistResult.WARNING, guessed, f"{todo} capf_server_wrong_strings_per_day")
    if phones and state.tx.in_force.flag("TFTP Encrypted Config"):
        number = counted(len(phones), "phone")
        message = f"TFTP Encrypted Config is True: {number} may not recover until the string is entered"
        return ChecklistItem(
            name, "6", ChecklistResult.WARNING, message, "have people at the phones, or use a different mode"
        )
    message = f"{counted(len(phones), 'string')} to enter, each while its phone is registered"
    return ChecklistItem(name, "6", ChecklistResult.OK, message)


def _failures(state: _State) -> ChecklistItem:
    """Name the phones whose session would fail according to the record; no rollout tries them (P54)."""
    name = "Phones that would fail"
    found = schedule.expected_failures(state.tx, [phone.device_name for phone in state.found])
    if not found:
        return ChecklistItem(name, "5", ChecklistResult.OK, "none, according to the record")
    message = "; ".join(f"{_names(names)}: {doubt.what}" for doubt, names in found.items())
    todo = "; ".join(dict.fromkeys(doubt.todo for doubt in found))
    return ChecklistItem(name, "5", ChecklistResult.WARNING, message, todo)


def _guessed(state: _State, phones: Sequence[str]) -> str:
    """Return the phones that are locked after wrong strings, and the addresses that may not try any phone."""
    locks = guessing.locks(state.tx, phones)
    exhausted = guessing.exhausted(state.tx)
    said = []
    if locks:
        until = moment.show(max(lock.until for lock in locks.values()))
        addresses = sum(lock.addresses for lock in locks.values())
        number = "1 address" if addresses == 1 else f"{addresses:,} addresses"
        said.append(f"locked after wrong strings for {number}, until {until}: {_names(sorted(locks))}")
    if exhausted:
        said.append(f"addresses that have reached their daily limit of wrong strings: {_names(exhausted)}")
    return "; ".join(said)


def _reset(state: _State) -> ChecklistItem:
    name = "Reset command"
    if state.question.cannot_reset:
        todo = "set capf_server_reset_command, or reset phones in a different way with lsc_rollout_reset=false"
        return ChecklistItem(name, "5", ChecklistResult.FAILED, "no reset command is configured on this server", todo)
    return ChecklistItem(name, "5", ChecklistResult.OK, "phones can be reset as requested")


ITEMS: tuple[Callable[[_State], ChecklistItem], ...] = (
    _lsc,
    _data,
    _service,
    _damage,
    _capf_certificate,
    _ctl_file,
    _nodes,
    _parameters,
    _strings,
    _failures,
    _reset,
)


_BEFORE_PHONES_COME = (_service, _damage, _capf_certificate, _ctl_file)


def blocking_reasons(tx: Transaction) -> str:
    """Return what keeps phones from CAPF and what to do, empty if nothing does; checked before phones are scheduled."""
    state = _State(tx, Question(), (), ())
    items = [item(state) for item in _BEFORE_PHONES_COME]
    failed = [item for item in items if item.result is ChecklistResult.FAILED]
    return " ".join(f"{item.name}: {item.message}. To do: {item.todo}." for item in failed)


def show(answer: Answer) -> dict[str, Any]:
    """Return the checklist as the API shows it."""
    return {
        "result": worst(answer.items),
        "checklist": [
            {"name": item.name, "step": item.step, "result": item.result, "message": item.message, "todo": item.todo}
            for item in answer.items
        ],
        "counts": {
            "lsc_installed": len(answer.installed),
            "lsc_not_installed": len(answer.not_installed),
            "unknown": len(answer.unknown),
        },
        "lsc_installed": answer.installed,
        "lsc_not_installed": answer.not_installed,
        "unknown": answer.unknown,
    }
