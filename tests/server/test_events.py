# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events and their order; a reader with a cursor misses and repeats none."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, update

from capf.model import InvalidRequestError, Outcome
from capf.registry import events
from capf.registry.transaction import Transaction
from capf.store import schema
from support import rollouts
from support.client import new_public_key
from support.record import CODE, Record

NAMES = [f"SEP0000000000{index:02X}" for index in range(3)]
KEY = {"key_order": "EC Only", "ec_key_size": 256}
DAY = 86400


def after(record: Record, cursor: str, days: int = 30) -> tuple[list[dict[str, Any]], str]:
    """Return the events after a cursor, and the next cursor."""
    found, following = record.run(
        lambda c: events.after(Transaction(c, record.context), events.read_cursor(c, cursor), days)
    )
    return found, str(following)


def kinds(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return kind and device name of events."""
    return [(event["kind"], event["device_name"]) for event in found]


def fail(record: Record, name: str) -> None:
    """Make the operation of an authenticated phone fail."""
    record.fail(record.grant(name, password=CODE).hold, Outcome.INVALID_MIC, "no MIC")


def enrol(record: Record, name: str) -> None:
    """Install an LSC."""
    record.plan(name)
    granted = record.grant(name)
    assert record.issue(granted.hold, new_public_key())
    record.confirm(granted.hold)


def test_a_failed_operation_is_reported_once_to_whoever_has_its_cursor(record: Record) -> None:
    record.plan_by_string(NAMES[0], **KEY)
    nothing, start = after(record, "")
    fail(record, NAMES[0])
    (event,), following = after(record, start)
    assert nothing == [] and kinds([event]) == [("operation_failed", NAMES[0])]
    assert event["detail"]["status"] == "Upgrade Failed: Invalid MIC" and event["detail"]["problem"] == "no MIC"
    assert after(record, following) == ([], following)
    assert after(record, start)[0] == after(record, "0")[0] == [event]
    assert after(record, "")[0] == []


def test_p33_a_refused_claim_is_an_event_and_the_tenth_is_the_next(record: Record) -> None:
    record.add(NAMES[0], **KEY)
    record.plan(NAMES[0])
    for _index in range(11):
        record.claim(NAMES[0], password="1")
    found, _cursor = after(record, "0")
    assert kinds(found) == [("claim_refused", NAMES[0])] * 2
    assert [event["detail"]["refusals"] for event in found] == [1, 10]


def test_more_events_than_one_answer_holds_come_in_the_next(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 1)
    for name in NAMES:
        record.plan_by_string(name, **KEY)
        fail(record, name)
    found, cursor = [], "0"
    for _unused in NAMES:
        some, cursor = after(record, cursor)
        found += kinds(some)
    assert found == [("operation_failed", name) for name in NAMES]
    assert after(record, cursor)[0] == []


def test_a_rollout_that_was_stopped_is_reported(ready: Record) -> None:
    rollouts.begin(ready, wave_size="3", failure_limit="0", retries=0)
    first, *others = rollouts.start(ready)["wave"]["phones"]
    rollouts.fail(ready, first, Outcome.INVALID_MIC)
    rollouts.enrol(ready, *others)
    rollouts.verdict(ready, 1)
    found = [event for event in after(ready, "0")[0] if event["kind"] != "claim_refused"]
    assert kinds(found) == [("operation_failed", first), ("rollout_stopped", "")]
    assert found[1]["detail"]["rollout"] == "night" and "1 of 3 phones not done" in found[1]["detail"]["problem"]


def test_an_lsc_is_reported_of_when_its_end_comes_near(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 2)
    for name in NAMES:
        record.add(name, **KEY)
        enrol(record, name)
    nothing, cursor = after(record, "")
    record.times[0] += 5 * 365 * DAY - 20 * DAY
    first, cursor = after(record, cursor)
    second, cursor = after(record, cursor)
    assert nothing == []
    assert sorted(kinds(first) + kinds(second)) == [("lsc_expires", name) for name in NAMES]
    assert after(record, cursor)[0] == []
    record.times[0] += 60 * DAY
    assert {kind for kind, _name in kinds(after(record, "")[0])} == {"lsc_expired"}


@pytest.mark.parametrize("earlier", [0, DAY])
def test_the_end_of_an_lsc_that_comes_later_is_reported(record: Record, earlier: int) -> None:
    """LSCs that are issued near the expiry of the CAPF certificate expire with it; imported ones may expire earlier."""
    end = int(record.context.authority.certificate.not_valid_after_utc.timestamp())
    record.times[0] = end - 20 * DAY
    cursor, reported = "", list[tuple[str, str]]()
    for name in NAMES:
        record.add(name, **KEY)
        enrol(record, name)
        lower = {"serial_number": f"{len(NAMES) - len(reported):032x}", "not_after": end - len(reported) * earlier}
        change = update(schema.certificates).where(schema.certificates.c.device_name == name).values(lower)
        record.run(partial(Connection.execute, statement=change))
        record.times[0] += 1
        found, cursor = after(record, cursor)
        reported += [event for event in kinds(found) if event[0] == "lsc_expires"]
    assert reported == [("lsc_expires", name) for name in NAMES]
    record.times[0] += 1
    assert after(record, cursor)[0] == []


def test_the_end_of_the_capf_certificate_is_reported_once(record: Record) -> None:
    end = int(record.context.authority.certificate.not_valid_after_utc.timestamp())
    record.times[0] = end - 30 * DAY
    found, cursor = after(record, "")
    assert kinds(found) == [("capf_certificate_expires", "")]
    assert found[0]["detail"]["common_name"].startswith("CAPF-")
    assert after(record, cursor)[0] == []


@pytest.mark.parametrize("text", ["x", "-1", "1:2", "1:2:zz:", "1" * 30, "1\n"])
def test_a_cursor_that_is_none_is_refused(record: Record, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="after"):
        after(record, text)
