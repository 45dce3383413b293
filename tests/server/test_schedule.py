# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bulk scheduling: declarative, all or nothing, with every problem reported (R10, R26)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from capf.model import CertificateState, InvalidRequestError, Operation, State
from capf.registry import phones, schedule
from capf.registry.changes import Changes
from capf.registry.transaction import Transaction
from support.record import CODE, NOW, PHONE, Record, public_key

OTHER = "SEP001122334466"
STRING = "By Authentication String"


def problems(record: Record, **request: Any) -> list[str]:
    """Return the problems of a refused request as texts, after checking that nothing was changed."""
    before = record.acts()
    with pytest.raises(InvalidRequestError) as refused:
        record.plan(**request)
    assert record.acts() == before
    return [str(problem) for problem in refused.value.problems]


def test_r26_only_phones_that_need_an_lsc_are_scheduled(record: Record) -> None:
    for name in (PHONE, OTHER):
        record.add(name)
    record.plan(PHONE)
    record.install(PHONE)
    plan = record.plan(PHONE, OTHER)
    assert (plan.scheduled, plan.skipped) == ([OTHER], {"LSC is right": [PHONE]})
    again = record.plan(PHONE, OTHER)
    assert (again.scheduled, again.pending, again.results) == ([], [OTHER], [])


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ({"defaults": {"key_size": 3072}}, "LSC with another key"),
        ({"defaults": {"key_order": "EC Only"}}, "LSC with another key"),
        ({"renew_before": 5 * 366}, "LSC expires within 1,830 days"),
        ({"force": True}, "forced"),
    ],
)
def test_r26_the_reason_of_a_new_lsc_is_reported(record: Record, later: dict[str, Any], reason: str) -> None:
    record.add()
    record.plan()
    record.install()
    assert record.plan(**later).results[0].reason == reason


def test_r26_an_expired_lsc_is_replaced(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    record.times[0] = NOW + 6 * 366 * 86400
    assert record.plan().results[0].reason == "LSC expired"


def test_r26_a_changed_request_replaces_what_is_pending(record: Record) -> None:
    record.add()
    record.plan()
    first = record.operation()["id"]
    assert record.plan(defaults={"key_size": 4096}).scheduled == [PHONE]
    assert record.operation()["id"] != first
    assert record.operation()["key_size"] == 4096


def test_r26_no_pending_operation_cancels(record: Record) -> None:
    record.add(authentication_mode=STRING)
    record.plan()
    assert record.plan(operation=Operation.NONE).cancelled == [PHONE]
    operation = record.operation()
    assert (operation["state"], operation["authentication_string"]) == (State.CANCELLED, None)
    assert record.plan(operation=Operation.NONE).skipped == {"no pending operation": [PHONE]}


def test_r26_the_server_makes_a_string_where_none_is_given(record: Record) -> None:
    record.add(authentication_mode=STRING)
    record.plan()
    made = record.context.secrets.decrypt(record.operation()["authentication_string"], PHONE)
    assert made.isdecimal() and 4 <= len(made) <= 10


@pytest.mark.parametrize("string", ["", "123", "12345678901", "12a4", "١٢٣٤", "1234\n"])
def test_r26_a_string_has_4_to_10_digits(record: Record, string: str) -> None:
    record.add(authentication_mode=STRING)
    given = [{"device_name": PHONE, "authentication_string": string}]
    assert problems(record, items=given) == [
        "phones[0].authentication_string: an authentication string has 4 to 10 digits"
    ]
    with pytest.raises(InvalidRequestError) as refused:
        record.plan(items=given)
    assert [problem.value for problem in refused.value.problems] == ["(hidden)"]


def test_r26_an_empty_string_is_none_for_a_phone_by_another_mode_either(record: Record) -> None:
    record.add()
    found = problems(record, items=[{"device_name": PHONE, "authentication_string": ""}])
    assert {problem.partition(":")[0] for problem in found} == {"phones[0].authentication_string"}


@pytest.mark.parametrize("operation", [Operation.DELETE, Operation.TROUBLESHOOT])
def test_r26_delete_and_troubleshoot_need_a_certificate(record: Record, operation: Operation) -> None:
    record.add()
    (problem,) = problems(record, operation=operation)
    lacks = {Operation.DELETE: "no LSC to delete", Operation.TROUBLESHOOT: "neither an LSC nor a MIC to fetch"}
    assert problem.startswith(f"phones[0]: {PHONE} has {lacks[operation]}; leave the phone out")


def test_r26_troubleshoot_is_for_a_phone_with_a_mic_too(record: Record) -> None:
    record.add(mic=True)
    assert record.plan(operation=Operation.TROUBLESHOOT).scheduled == [PHONE]


@pytest.mark.parametrize("mode", ["Authenticated", "Encrypted"])
def test_r10_no_string_for_a_secure_device_without_lsc(record: Record, mode: str) -> None:
    record.add(device_security_mode=mode, authentication_mode=STRING)
    (problem,) = problems(record)
    assert problem.startswith(f"phones[0].authentication_mode: {PHONE} is a secure device without an LSC")
    record.plan(defaults={"authentication_mode": "By Null String"})
    record.install()
    assert record.plan(force=True).scheduled == [PHONE]


@pytest.mark.parametrize("mode", ["Authenticated", "Encrypted"])
def test_r10_a_phone_that_waits_for_its_string_is_not_made_secure(record: Record, mode: str) -> None:
    for name in (PHONE, OTHER):
        record.add(name, authentication_mode=STRING)
    record.plan()
    before = record.acts()
    wanted = [{"device_name": name, "device_security_mode": mode, "description": "new"} for name in (OTHER, PHONE)]

    def ensure() -> Changes:
        return record.run(lambda c: phones.ensure(Transaction(c, record.context, "test"), wanted, "present"))

    with pytest.raises(InvalidRequestError) as refused:
        ensure()
    assert [str(problem) for problem in refused.value.problems] == [
        f"phones[1].device_security_mode: {PHONE} has no LSC and waits for its authentication string; in mode {mode}"
        " it could never register to receive it: leave it Non Secure until the operation has ended, or cancel the"
        " operation"
    ]
    assert record.acts() == before
    string = record.context.secrets.decrypt(record.operation()["authentication_string"], PHONE)
    record.install(password=string)
    record.plan(force=True)
    assert ensure().counts["updated"] == 2


def test_r10_a_phone_with_another_mode_pending_is_made_secure(record: Record) -> None:
    record.add(authentication_mode=STRING)
    record.plan(defaults={"authentication_mode": "By Null String"})
    record.add(device_security_mode="Encrypted")
    record.install(password="")
    record.add(OTHER, authentication_mode=STRING, device_security_mode="Encrypted")


@pytest.mark.parametrize(
    "name", ["SEP00112233445", "sep001122334455", "SEP00112233445G", "XYZ001122334455", "", "SEP001122334455\n"]
)
def test_a_device_name_with_a_wrong_form_is_named(record: Record, name: str) -> None:
    found = problems(record, items=[{"device_name": name}])
    assert found[0].startswith(f"phones[0]: {name!r} is refused")
    assert (
        "12 upper-case hexadecimal digits" in found[0] or "a MAC address" in found[0] or "hexadecimal digit" in found[0]
    )


def test_a_phone_that_is_not_registered_is_named(record: Record) -> None:
    record.add()
    found = problems(record, items=[{"device_name": PHONE}, {"device_name": OTHER}])
    assert found == [f"phones[1]: {OTHER} is not registered with the server; register the phone first, or leave it out"]


def test_a_phone_that_stands_twice_is_named_by_its_index(record: Record) -> None:
    record.add()
    found = problems(record, items=[{"device_name": PHONE}, {"device_name": PHONE}])
    assert found == [f"phones[1]: {PHONE} is listed twice, first as phones[0]; list each phone once"]


@pytest.mark.parametrize("text", ["", "yesterday", "2020-01-01T00:00", "31.12.2030", "2030-02-31T06:00"])
def test_r26_completes_by_is_readable_and_to_come(record: Record, text: str) -> None:
    record.add()
    (problem,) = problems(record, completes_by=text)
    assert problem.startswith(f"completes_by: {text!r} is refused; allowed: a future date and time")


def test_r26_completes_by_is_in_the_first_nodes_time(record: Record) -> None:
    record.add()
    text = time.strftime("%Y-%m-%dT%H:%M", time.localtime(NOW + 7200))
    assert abs(record.plan(completes_by=text).completes_by - (NOW + 7200)) < 60


def test_an_unknown_key_size_is_named() -> None:
    (problem,) = phones.choice_problems({"key_size": 1000}, "")
    assert str(problem) == "key_size: '1000' is refused; allowed: 512, 1024, 2048, 3072, 4096"


def test_all_problems_come_at_once(record: Record) -> None:
    record.add()
    items = [{"device_name": "bad"}, {"device_name": PHONE, "key_size": 5}, {"device_name": OTHER}]
    assert len(problems(record, items=items)) == 4


def test_r15_encrypted_configuration_files_and_strings_are_warned_of(record: Record) -> None:
    record.add(authentication_mode=STRING)
    assert record.plan().warnings == []
    record.set_parameters("enterprise", {"TFTP Encrypted Config": True})
    (warning,) = record.plan(defaults={"key_size": 3072}).warnings
    assert f"1 phone by authentication string, the first of them {PHONE}, may not recover" in warning
    assert record.plan(defaults={"authentication_mode": "By Null String"}).warnings == []


def skipped_in_session(plan: schedule.Scheduled) -> bool:
    """Return whether the plan skips the phone because of its session, and says so."""
    (warning,) = plan.warnings
    assert warning == (
        f"1 phone skipped because of a session, the first of them {PHONE};"
        " repeat the request when the session has ended"
    )
    return (plan.skipped, plan.results) == ({"in a session now": [PHONE]}, [])


def test_a_live_session_is_not_disturbed(record: Record) -> None:
    record.plan_by_string()
    granted = record.grant(password=CODE)
    assert skipped_in_session(record.plan(defaults={"key_size": 4096}))
    same = record.plan()
    assert (same.scheduled, same.pending, same.warnings) == ([], [PHONE], [])
    assert record.operation()["id"] == granted.hold.operation_id


def test_r26_an_operation_whose_session_has_begun_is_the_same_whatever_its_deadline(record: Record) -> None:
    record.plan_by_string()
    record.grant(password=CODE)
    later = time.strftime("%Y-%m-%dT%H:%M", time.localtime(NOW + 7200))
    assert record.plan(completes_by=later).pending == [PHONE]


def test_r26_what_a_session_does_is_not_cancelled(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    record.issue(granted.hold, public_key())
    assert skipped_in_session(record.plan(operation=Operation.NONE))
    record.confirm(granted.hold)
    assert record.operation()["status"] == "Upgrade Success"
    assert list(record.certificates().values()) == [CertificateState.ACTIVE]
    assert record.acts()[-1] == "operation done"


def test_r26_a_delete_asked_for_while_an_lsc_is_installed_is_not_lost_silently(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    record.plan_by_string()
    granted = record.grant(password=CODE)
    assert skipped_in_session(record.plan(operation=Operation.DELETE))
    record.issue(granted.hold, public_key())
    record.confirm(granted.hold)
    assert record.plan(operation=Operation.DELETE).scheduled == [PHONE]


def test_a_dry_run_leaves_no_trace(record: Record) -> None:
    record.add()
    before = record.acts()

    async def dry() -> schedule.Scheduled:
        request = schedule.OperationRequest(Operation.INSTALL, [schedule.RequestedPhone(PHONE)])
        return await record.store.adry_run(lambda c: schedule.schedule(Transaction(c, record.context, "test"), request))

    import asyncio

    assert asyncio.run(dry()).scheduled == [PHONE]
    assert record.acts() == before
