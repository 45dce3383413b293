# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding phones and reporting them (R29, R30)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from capf.model import InvalidRequestError
from capf.registry import report, search
from capf.registry.search import Criterion, Page
from capf.registry.transaction import Transaction
from support import spreadsheet
from support.record import Record

NAMES = ["SEP00000000000A", "SEP00000000000B", "SEP00000000000C"]


@pytest.fixture
def three(record: Record) -> Record:
    """Three phones: A has an LSC, B waits for a string, C has nothing."""
    record.add(NAMES[0], description="Reception", device_pool="Berlin")
    record.add(NAMES[1], description="=cmd()", device_pool="Bern", authentication_mode="By Authentication String")
    record.add(NAMES[2], description="100% glass_door", device_pool="Oslo")
    record.plan(NAMES[0])
    record.install(NAMES[0])
    record.plan(items=[{"device_name": NAMES[1], "authentication_string": "24681357"}])
    return record


def names(record: Record, *criteria: Criterion, page: Page | None = None) -> list[str]:
    """Return the last letters of the phones that were found."""
    wanted = page or Page()
    _total, found = record.store.read(
        lambda c: search.find(Transaction(c, record.context), criteria, wanted, strings=False)
    )
    return [phone["device_name"][-1] for phone in found]


@pytest.mark.parametrize(
    ("field", "pattern", "value", "found"),
    [
        ("device_name", "ends with", "b", "B"),
        ("device_name", "is exactly", NAMES[2], "C"),
        ("device_pool", "begins with", "Ber", "AB"),
        ("description", "contains", "cept", "A"),
        ("description", "contains", "_", "C"),
        ("description", "contains", "%", "C"),
        ("security_profile", "is empty", "", "ABC"),
        ("security_profile", "is not empty", "", ""),
        ("lsc_status", "is exactly", "Upgrade Success", "A"),
        ("lsc_status", "is exactly", "Operation Pending", "B"),
        ("lsc_status", "is exactly", "None", "C"),
        ("authentication_string", "is not empty", "", "B"),
        ("authentication_string", "is exactly", "24681357", "B"),
        ("authentication_string", "is empty", "", "AC"),
        ("lsc_issued_by", "contains", "CAPF-", "A"),
        ("lsc_expires", "is after", "2030-01-01", "A"),
        ("lsc_expires", "is before", "2030-01-01", ""),
        ("lsc_expires", "is empty", "", "BC"),
        ("lsc_issuer_expires_by", "is not empty", "", "A"),
        ("device_security_mode", "is exactly", "Non Secure", "ABC"),
        ("authentication_mode", "ends with", "String", "ABC"),
        ("authentication_mode", "is exactly", "By Authentication String", "B"),
        ("key_order", "begins with", "RSA", "ABC"),
        ("certificate_operation", "is exactly", "Install/Upgrade", "B"),
        ("certificate_operation", "is exactly", "No Pending Operation", "AC"),
        ("operation_completes_by", "is not empty", "", "B"),
        ("operation_completes_by", "is before", "2020-01-01", ""),
        ("last_problem", "is empty", "", "ABC"),
        ("lsc", "is exactly", "Installed", "A"),
        ("lsc", "is exactly", "Not Installed", "BC"),
        ("authentication_string", "contains", "6813", "B"),
        ("authentication_string", "begins with", "9", ""),
    ],
)
def test_r29_phones_are_found_by_field_and_pattern(
    three: Record, field: str, pattern: str, value: str, found: str
) -> None:
    assert names(three, Criterion(field, pattern, value)) == list(found)


def test_r29_several_criteria_must_all_match(three: Record) -> None:
    pool = Criterion("device_pool", "begins with", "Ber")
    assert names(three, pool, Criterion("lsc_status", "contains", "Pending")) == ["B"]


def test_r29_sorting_and_paging(three: Record) -> None:
    assert names(three, page=Page(sort="device_pool", descending=True)) == ["C", "B", "A"]
    assert names(three, page=Page(number=2, rows=2)) == ["C"]


@pytest.mark.parametrize("field", [*search.TEXT_FIELDS, *search.DATE_FIELDS])
def test_r29_phones_are_sorted_by_any_field(three: Record, field: str) -> None:
    up, down = (names(three, page=Page(sort=field, descending=descending)) for descending in (False, True))
    assert sorted(up) == sorted(down) == ["A", "B", "C"]
    shown = {phone["device_name"][-1]: phone for phone in pages(three, Page(rows=9))}
    values = [shown[name][field] for name in up if shown[name][field] is not None]
    assert values == sorted(values)


def pages(record: Record, page: Page, *criteria: Criterion) -> list[dict[str, Any]]:
    """Return the phones of one page."""
    return record.store.read(lambda c: search.find(Transaction(c, record.context), criteria, page, strings=True))[1]


def page_of_ten(record: Record, criterion: Criterion, number: int) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of matching phones, and one page of ten."""
    page = Page(number=number, rows=10)
    return record.store.read(lambda c: search.find(Transaction(c, record.context), [criterion], page, strings=False))


@pytest.mark.parametrize("pattern", ["is not empty", "contains"])
def test_r29_a_page_of_the_found_phones_with_the_number_of_all(record: Record, pattern: str) -> None:
    """Whether the database can count and page, or strings have to be decrypted."""
    given = [f"SEP{index:012X}" for index in range(25)]
    for name in given:
        record.add(name, authentication_mode="By Authentication String")
    record.plan(items=[{"device_name": name, "authentication_string": "24681357"} for name in given[:23]])
    criterion = Criterion("authentication_string", pattern, "2468")
    for number, expected in ((1, given[:10]), (3, given[20:23]), (4, [])):
        total, found = page_of_ten(record, criterion, number)
        assert (total, [phone["device_name"] for phone in found]) == (23, expected)


@pytest.mark.parametrize(
    "criterion",
    [
        Criterion("nonsense", "is exactly"),
        Criterion("device_name", "is before"),
        Criterion("lsc_expires", "is after", "x"),
    ],
)
def test_r29_a_criterion_that_makes_no_sense_is_named(three: Record, criterion: Criterion) -> None:
    with pytest.raises(InvalidRequestError, match=r"criteria\[0\]"):
        names(three, criterion)


def test_r30_the_report_is_csv_with_the_fields_own_names(three: Record) -> None:
    text = three.store.read(
        lambda c: "".join(report.csv_pieces(search.found(Transaction(c, three.context), [], Page(), strings=True)))
    )
    rows = spreadsheet.opened(text)
    assert [row["Device Name"] for row in rows] == NAMES
    assert rows[0]["LSC"] == "Installed" and rows[0]["LSC Status"] == "Upgrade Success"
    assert rows[1]["Authentication String"] == "24681357"
    assert rows[1]["Authentication Mode"] == "By Authentication String"
    assert rows[1]["Description"] == "=cmd()"


def test_r30_the_report_can_hide_the_strings(three: Record) -> None:
    text = three.store.read(
        lambda c: "".join(report.csv_pieces(search.found(Transaction(c, three.context), [], Page(), strings=False)))
    )
    assert "24681357" not in text


def test_r30_the_report_as_json_is_a_list_of_phones(three: Record) -> None:
    text = three.store.read(
        lambda c: "".join(report.json_pieces(search.found(Transaction(c, three.context), [], Page(), strings=False)))
    )
    phones = json.loads(text)
    assert [phone["device_name"] for phone in phones] == NAMES
    assert phones[0]["lsc"] == "Installed" and "authentication_string" not in phones[0]
    assert text.count("\n{") == 3
    assert json.loads("".join(report.json_pieces([]))) == []


def test_r30_the_figures_count_status_expiry_and_cause(three: Record) -> None:
    three.add("SEP00000000000D")
    three.plan("SEP00000000000D")
    three.claim("SEP00000000000D", password="1")
    figures = three.store.read(
        lambda c: report.figures(search.found(Transaction(c, three.context), [], Page(), strings=False))
    )
    assert (figures.phones, figures.installed, figures.pending, figures.failed) == (4, 1, 2, 0)
    three.end_refused("SEP00000000000D")
    figures = three.store.read(
        lambda c: report.figures(search.found(Transaction(c, three.context), [], Page(), strings=False))
    )
    assert (figures.phones, figures.installed, figures.pending, figures.failed) == (4, 1, 1, 1)
    assert figures.failures == {"Invalid Authentication String": 1}
    assert figures.statuses["Upgrade Success"] == 1
    (month,) = figures.months
    expires = three.store.read(lambda c: next(search.found(Transaction(c, three.context), [], Page(), strings=False)))[
        "lsc_expires"
    ]
    assert month == expires[:7]


def test_a_lock_is_visible(record: Record) -> None:
    record.add(NAMES[0], authentication_mode="By Authentication String")
    record.plan(NAMES[0])
    for _index in range(10):
        record.claim(NAMES[0], password="0000")
    _total, found = record.store.read(lambda c: search.find(Transaction(c, record.context), [], Page(), strings=False))
    assert found[0]["locked_until"] is not None
    record.wait(3600)
    _total, found = record.store.read(lambda c: search.find(Transaction(c, record.context), [], Page(), strings=False))
    assert found[0]["locked_until"] is None


@pytest.mark.parametrize("pattern", ["begins with", "contains", "ends with", "is exactly"])
def test_p57_a_search_for_an_empty_text_is_refused(three: Record, pattern: str) -> None:
    for field in ("device_pool", "authentication_string"):
        with pytest.raises(InvalidRequestError) as refused:
            names(three, Criterion(field, pattern))
        (problem,) = refused.value.problems
        assert problem.field == "criteria[0].value" and problem.message.startswith(
            "this is empty, so that the criterion"
        )
