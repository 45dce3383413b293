# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checklist of Table 10-2, each item with the state that it checks (R22, R33)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capf.model import InvalidRequestError
from capf.registry import parameters, preflight, service
from capf.registry.preflight import ChecklistItem, ChecklistResult, Question
from capf.registry.transaction import Transaction
from support.record import Record

A, B, C = (f"SEP00000000000{letter}" for letter in "ABC")
STRING = "By Authentication String"
YEARS = 365 * 86400


def item(record: Record, name: str, question: Question | None = None) -> ChecklistItem:
    """Return one item of the checklist."""
    answer = record.store.read(lambda c: preflight.check(Transaction(c, record.context), question or Question()))
    (found,) = [entry for entry in answer.items if entry.name == name]
    return found


def activate(record: Record) -> None:
    """Activate and start CAPF."""
    record.store.write(lambda c: service.activate(Transaction(c, record.context, "admin"), True))
    record.context.running = record.store.read(parameters.stored)


def test_r22_the_service_has_to_be_activated_and_running_on_the_first_node(record: Record) -> None:
    assert item(record, "CAPF service").result is ChecklistResult.FAILED
    activate(record)
    assert item(record, "CAPF service").result is ChecklistResult.OK
    record.context.running, record.context.why_stopped = None, "port 3804 is taken"
    stopped = item(record, "CAPF service")
    message = "CAPF is activated but not running: port 3804 is taken"
    assert (stopped.result, stopped.message) == (ChecklistResult.FAILED, message)
    record.context.first_node = False
    assert "subscriber" in item(record, "CAPF service").message


def test_r22_parameters_are_as_wanted_and_in_force(record: Record) -> None:
    activate(record)
    wanted = Question(parameters={"Key Size": "2048", "Enable IPv6": False})
    assert item(record, "Parameters", wanted).result is ChecklistResult.OK
    different = item(record, "Parameters", Question(parameters={"Key Size": 3072}))
    assert (different.result, different.message) == (ChecklistResult.FAILED, "Key Size is 2048, expected is 3072")
    record.set_parameters("service", {"Key Size": 3072})
    waiting = item(record, "Parameters", Question(parameters={"Key Size": 3072}))
    assert (waiting.result, waiting.message) == (
        ChecklistResult.FAILED,
        "changed parameters wait for a restart of CAPF",
    )
    with pytest.raises(InvalidRequestError, match=r"Key Size.*1024"):
        item(record, "Parameters", Question(parameters={"Key Size": 17}))


def test_r22_lsc_present_or_not_per_phone_and_data_that_is_missing(record: Record) -> None:
    assert item(record, "CAPF data").result is ChecklistResult.WARNING
    record.add(A)
    record.add(B)
    record.plan(A)
    record.install(A)
    answer = record.store.read(lambda c: preflight.check(Transaction(c, record.context), Question(phones=[A, B, C])))
    assert (answer.installed, answer.not_installed, answer.unknown) == ([A], [B], [C])
    assert C in item(record, "CAPF data", Question(phones=[A, B, C])).message
    assert item(record, "LSC on the phones").result is ChecklistResult.OK
    record.times[0] += 6 * YEARS
    expired = item(record, "LSC on the phones")
    assert expired.result is ChecklistResult.WARNING and A in expired.message and "renews" in expired.todo


def test_a_capf_certificate_near_its_end_is_warned_of_and_an_expired_one_fails(record: Record) -> None:
    assert item(record, "CAPF certificate").result is ChecklistResult.OK
    end = int(record.context.authority.certificate.not_valid_after_utc.timestamp())
    record.times[0] = end - 30 * 86400
    near = item(record, "CAPF certificate")
    assert (near.result, near.message) == (ChecklistResult.WARNING, "the CAPF certificate expires in 30 days")
    record.times[0] = end
    assert item(record, "CAPF certificate").result is ChecklistResult.FAILED


def test_r33_phones_on_which_no_string_can_be_entered_are_named(record: Record) -> None:
    record.add(A, authentication_mode=STRING)
    assert item(record, "Authentication strings").message.startswith("1 string to enter")
    record.add(B, authentication_mode=STRING, device_security_mode="Encrypted")
    stuck = item(record, "Authentication strings")
    assert stuck.result is ChecklistResult.WARNING and stuck.message.endswith(B)
    only_a = Question(phones=[A])
    record.set_parameters("enterprise", {"TFTP Encrypted Config": True})
    assert "may not recover" in item(record, "Authentication strings", only_a).message


def test_the_whole_stands_as_its_worst_item(record: Record) -> None:
    good = ChecklistItem("x", "1", ChecklistResult.OK, "")
    assert preflight.worst([good]) is ChecklistResult.OK
    assert preflight.worst([good, replace(good, result=ChecklistResult.WARNING)]) is ChecklistResult.WARNING
    assert preflight.worst([replace(good, result=ChecklistResult.FAILED), good]) is ChecklistResult.FAILED
