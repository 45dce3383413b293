# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CAPF that cannot issue certificates reports it before a phone generates a key, and uses no attempt (P55)."""

from __future__ import annotations

import os
from typing import Any

import pytest

from capf.certificates.authority import Authority, MissingAuthority, make_capf_certificate
from capf.model import Fault, Operation, Outcome, State
from capf.phone_session.effects import Cause, Refused
from capf.phone_session.wire import Reason
from capf.registry import health, preflight
from capf.registry.preflight import ChecklistResult, Question
from capf.registry.transaction import Transaction
from support.record import BY_STRING, CODE, NOW, PHONE, Record, public_key

NULL = "By Null String"


def expire(record: Record) -> str:
    """Make the CAPF certificate expire a day ago, and return the message about it."""
    end = record.context.authority.certificate.not_valid_after_utc
    record.times[0] = end.timestamp() + 86400
    return f"the CAPF certificate expired on {end:%Y-%m-%d}"


def renew(record: Record) -> None:
    """Give the server a certificate that is valid at the simulated time."""
    record.context.authority = Authority(*make_capf_certificate(os.urandom, record.times[0], "O", "OU"), os.urandom)


@pytest.mark.parametrize(("mode", "given"), [(BY_STRING, {"password": CODE}), (NULL, {"password": ""})])
def test_p55_a_session_is_refused_before_the_key_and_uses_nothing_up(
    record: Record, mode: str, given: dict[str, Any]
) -> None:
    said = expire(record)
    record.add(authentication_mode=mode)
    item = {"device_name": PHONE, **({"authentication_string": CODE} if mode == BY_STRING else {})}
    record.plan(items=[item])
    before = record.operation()
    for _index in range(12):
        refused = record.claim(**given)
        assert refused == Refused(Reason.REJECTED, Outcome.FAILED)
        assert isinstance(refused, Refused) and (refused.cause, refused.problem) == (Cause.NOTHING_ISSUED, said)
    after = record.operation()
    assert (after["state"], after["authentication_string"]) == (State.PENDING, before["authentication_string"])
    assert (after["refusals"], after["problem"]) == (12, said)
    renew(record)
    record.install(key=public_key(), **given)
    assert record.operation()["status"] == "Upgrade Success"


def test_p55_a_delete_needs_no_capf_certificate_in_date(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    expire(record)
    plan = record.plan(operation=Operation.DELETE)
    record.confirm(record.grant(password="").hold)
    assert plan.warnings == [] and record.operation()["status"] == "Delete Success"


def test_p55_scheduling_warns_once(record: Record) -> None:
    said = expire(record)
    for name in (PHONE, "SEP001122334466"):
        record.add(name)
    (warning,) = record.plan(PHONE, "SEP001122334466").warnings
    assert warning == f"{said}: no LSC is issued before ucm.capf.capf_certificate renews it"


def test_p55_readiness_and_checklist_say_that_it_expired(record: Record) -> None:
    said = expire(record)
    found = record.store.read(lambda c: health.readiness(Transaction(c, record.context)))
    assert found.problems == [f"{said}; ucm.capf.capf_certificate renews it"]
    assert not [warning for warning in found.warnings if "expires in" in warning]
    answer = record.store.read(lambda c: preflight.check(Transaction(c, record.context), Question()))
    (item,) = [item for item in answer.items if item.name == "CAPF certificate"]
    assert (item.result, item.message) == (ChecklistResult.FAILED, said)


def test_p55_without_its_key_a_session_is_refused_in_the_same_way(record: Record) -> None:
    record.plan_by_string()
    whole = record.context.authority
    record.context.authority = MissingAuthority(Fault("capf.key", "it cannot be read", "restore it"))
    refused = record.claim(password=CODE)
    assert refused == Refused(Reason.REJECTED, Outcome.FAILED)
    assert isinstance(refused, Refused) and refused.problem == "the CAPF key or certificate cannot be used"
    assert record.operation()["state"] == State.PENDING
    record.context.authority = whole
    assert record.times[0] == NOW and record.install(password=CODE)
