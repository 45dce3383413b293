# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Unified CM writes, and our own reports as lists (P52)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from capf.lists import tables
from capf.model import InvalidRequestError, status_of
from capf.registry import moment, phone_import, report, search
from capf.registry.phone_fields import import_columns, list_columns
from capf.registry.rollout import rollout_report, settings
from capf.registry.transaction import Transaction
from support.record import PHONE, Record

ASIDE = (*report.COLUMNS, *rollout_report.COLUMNS)


def local(*clock: int) -> int:
    """Return epoch seconds of a time of the first node."""
    return int(datetime(*clock).timestamp())  # type: ignore[arg-type]  # noqa: DTZ001 - the first node's own time


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("2027:01:31:06:00", (2027, 1, 31, 6)),
        ("2027:01:31:06", (2027, 1, 31, 6)),
        ("2027:01:31:06:30:59", (2027, 1, 31, 6, 30, 59)),
        ("2027-01-31T06:00", (2027, 1, 31, 6)),
        ("2027-01-31 06:00", (2027, 1, 31, 6)),
        ("2027-01-31", (2027, 1, 31, 23, 59, 59)),
        ("2027:01:31", (2027, 1, 31, 23, 59, 59)),
        ("2027:01:31 06:00", (2027, 1, 31, 6)),
        ("2027/01/31 06:00", (2027, 1, 31, 6)),
        ("2027/01/31", (2027, 1, 31, 23, 59, 59)),
    ],
)
def test_p52_a_time_is_read_as_unified_cm_writes_it(text: str, clock: tuple[int, ...]) -> None:
    assert moment.read(text, "completes_by") == local(*clock)
    assert moment.parse(text, 0) == local(*clock)


@pytest.mark.parametrize("text", ["2027-01-31", "2027:01:31"])
def test_p52_a_date_is_the_beginning_of_the_day_for_a_windows_start_alone(text: str) -> None:
    read = settings.read({"window_start": text, "window_end": text})
    assert (read.window_start, read.window_end) == (local(2027, 1, 31), local(2027, 1, 31, 23, 59, 59))


@pytest.mark.parametrize(
    "text", ["2027:13:01:00:00", "2027:01:31:24:01", "2027:1:31", "27:01:31:06:00", "tomorrow", "01/02/2027"]
)
def test_p52_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="allowed: a future date and time"):
        moment.read(text, "completes_by")


def test_p52_phones_are_found_by_a_date_as_unified_cm_writes_it(record: Record) -> None:
    record.add()
    record.plan(completes_by="2027:01:31:06:00")
    numbers = {text: found_on(record, text) for text in ("2027:01:31", "2027-01-31", "2027/02/01")}
    assert numbers == {"2027:01:31": 1, "2027-01-31": 1, "2027/02/01": 0}


def found_on(record: Record, day: str) -> int:
    """Return how many operations complete by this day."""
    criteria = [search.Criterion("operation_completes_by", "is exactly", day)]
    return record.store.read(lambda c: search.count(Transaction(c, record.context), criteria))


@pytest.mark.parametrize("family", ["Upgrade", "Delete", "Troubleshoot"])
def test_p52_statuses_that_only_unified_cm_has_are_understood(family: str) -> None:
    failure = status_of(f"{family} Failed: CA Communication Failure")
    assert (failure.words, failure.cause) == ("Failed", "CA Communication Failure")
    assert failure.advice.startswith("the earlier CAPF did not reach its CA")
    assert status_of("Upgrade Failed: CA Rejected Connection").retry_may_help


def imported(record: Record, *given: dict[str, Any]) -> phone_import.Import:
    """Return what an import does."""
    reading = phone_import.read(record.context, [phone_import.EarlierPhone.of(phone) for phone in given])
    return record.run(lambda c: phone_import.carry_out(Transaction(c, record.context, "admin"), reading, strict=True))


def test_p52_an_export_of_unified_cm_is_imported(record: Record) -> None:
    text = (
        "Device Name,Description,Device Protocol,Certificate Operation,"
        "Operation Completes By,Certificate Operation Status\r\n"
        f"{PHONE},Lobby,SIP,install/upgrade,2037:01:31:06:00,Operation Pending\r\n"
        "SEP00000000000B,Desk,SIP,No Pending Operation,,Upgrade Failed: CA Rejected Connection\r\n"
    )
    table = tables.read("export.csv", text.encode(), tables.Columns(import_columns(), ASIDE))
    assert table.warnings == ["export.csv: columns that are not read: Device Protocol"]
    done = imported(record, *table.phones)
    assert (done.counts.created, done.counts.operations) == (2, 1)
    assert done.warnings == [
        "1 phone with the Operation Status 'Upgrade Failed: CA Rejected Connection' on the earlier CAPF;"
        " the CA refused the earlier CAPF; schedule the operation here"
    ]
    assert record.operation()["completes_by"] == local(2037, 1, 31, 6)


@pytest.mark.parametrize("columns", [list_columns, import_columns])
def test_p52_our_own_reports_are_lists(record: Record, columns: Any) -> None:
    record.add(description="=1+1", device_pool="0041")
    record.plan()
    found = record.store.read(
        lambda c: list(search.found(Transaction(c, record.context), [], search.Page(), strings=True))
    )
    of_rollout = [{"device_name": PHONE, "description": "=1+1", "site": "0041", "device_pool": "0041"}]
    for text in (
        "".join(report.csv_pieces(found)),
        "".join(report.csv_of(of_rollout, rollout_report.COLUMNS, ("description", "site", "device_pool"))),
    ):
        table = tables.read("report.csv", text.encode(), tables.Columns(columns(), ASIDE))
        assert table.warnings == []
        (phone,) = table.phones
        assert (phone["device_name"], phone["description"], phone["device_pool"]) == (PHONE, "=1+1", "0041")
