# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as people write them, in zones on both sides of UTC: every accepted time can be shown (R26, R29)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from capf.model import InvalidRequestError
from capf.registry import moment, search
from capf.registry.search import Criterion, Page
from capf.registry.transaction import Transaction
from capf.store import schema
from support.record import PHONE, Record

EAST, WEST = "Europe/Berlin", "America/New_York"
END = 253_402_300_799
"""9999-12-31T23:59:59Z, the expiry of a certificate without a defined expiry."""


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Set the time zone for a test."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        moment.show.cache_clear()
        yield request.param
    time.tzset()
    moment.show.cache_clear()


def found(record: Record, *criteria: Criterion) -> list[dict[str, object]]:
    """Return the phones that match."""
    return record.store.read(lambda c: search.find(Transaction(c, record.context), criteria, Page(), strings=False))[1]


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (EAST, "9999-12-31T23:59:59Z"),
        (EAST, "9999-12-31T23:59:59-05:00"),
        (WEST, "9999-12-31T23:59:59"),
        (WEST, "9999-12-31T23:59:59-14:00"),
        ("UTC", "9999-12-31T23:59:59-01:00"),
    ],
    indirect=["zone"],
)
def test_r26_a_time_that_cannot_be_shown_is_refused(record: Record, zone: str, text: str) -> None:
    record.add()
    with pytest.raises(InvalidRequestError, match="completes_by"):
        record.plan(completes_by=text)
    assert found(record)[0]["operation_state"] is None


@pytest.mark.parametrize(
    ("zone", "text", "shown"),
    [
        (EAST, "9999-12-30T00:00:00", "9999-12-30T00:00:00+01:00"),
        (WEST, "9999-12-31T23:59:59Z", "9999-12-31T18:59:59-05:00"),
        ("UTC", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ],
    indirect=["zone"],
)
def test_r26_a_time_that_is_taken_is_shown(record: Record, zone: str, text: str, shown: str) -> None:
    record.add()
    record.plan(completes_by=text)
    assert found(record)[0]["operation_completes_by"] == shown


@pytest.mark.parametrize(
    ("zone", "shown"),
    [(EAST, "9999-12-31T23:59:59+00:00"), (WEST, "9999-12-31T18:59:59-05:00")],
    indirect=["zone"],
)
def test_r29_a_certificate_without_an_end_is_shown(record: Record, zone: str, shown: str) -> None:
    record.add()
    record.plan()
    record.install()
    record.run(lambda c: c.execute(update(schema.certificates).values(not_after=END, issuer_not_after=END + 1)))
    (phone,) = found(record)
    assert phone["lsc_expires"] == shown
    assert str(phone["lsc_issuer_expires_by"]).startswith("9999-12-31T")


@pytest.mark.parametrize("zone", [EAST], indirect=True)
@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-10-25T00:00:00+02:00", "2026-10-25"),
        ("2026-10-25T23:59:59+01:00", "2026-10-25"),
        ("2026-10-26T00:00:00+01:00", "2026-10-26"),
        ("2027-03-28T23:59:59+02:00", "2027-03-28"),
        ("2027-03-29T00:00:00+02:00", "2027-03-29"),
    ],
)
def test_r29_a_day_ends_where_the_next_one_begins(record: Record, zone: str, at: str, day: str) -> None:
    """The days on which daylight saving time changes have 25 and 23 hours."""
    record.add()
    record.plan()
    value = moment.read(at, "at")
    record.run(lambda c: c.execute(update(schema.operations).values(completes_by=value)))
    for pattern, names in (("is exactly", [PHONE]), ("is before", []), ("is after", [])):
        phones = found(record, Criterion("operation_completes_by", pattern, day))
        assert [phone["device_name"] for phone in phones] == names


@pytest.mark.parametrize("zone", [EAST, WEST], indirect=True)
@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_r29_the_first_and_the_last_day_make_no_search_fail(record: Record, zone: str, text: str) -> None:
    record.add()
    for pattern in ("is before", "is exactly", "is after"):
        try:
            assert found(record, Criterion("lsc_expires", pattern, text)) == []
        except InvalidRequestError as error:
            assert "a date such as" in str(error)
