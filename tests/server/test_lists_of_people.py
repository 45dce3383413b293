# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of all lists, and cells that a spreadsheet shows unchanged (P51)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capf.lists import cells, tables
from capf.model import InvalidRequestError
from capf.registry import phones, report, strings
from capf.registry.phone_fields import list_columns
from capf.registry.rollout import rollout_report
from capf.registry.transaction import Transaction
from capf_lab import csvfile
from support.lists import LISTS
from support.record import Record

A, B = "SEP0011AA000001", "SEP0011AA000002"
COLUMNS = tables.Columns(list_columns(), (*report.COLUMNS, *rollout_report.COLUMNS))


def read(text: str | bytes) -> tables.Table:
    """Return the content of a list."""
    return tables.read("list.csv", text.encode() if isinstance(text, str) else text, COLUMNS)


def refusal(text: str | bytes) -> str:
    """Return why a list is refused."""
    with pytest.raises(tables.ListError) as refused:
        read(text)
    return str(refused.value)


PLAIN = {"device_name": A, "description": "x", "device_pool": "ZRH", "authentication_mode": "By Null String"}
AS_MEANT: dict[str, list[dict[str, Any]]] = {
    "bom_crlf": [
        {**PLAIN, "description": "Zürich Empfang"},
        {**PLAIN, "device_name": B, "description": 'Büro "Süd", 2. OG'},
    ],
    "cronly": [PLAIN],
    "nbsp": [PLAIN, {**PLAIN, "device_name": B}],
    "semicolon": [{**PLAIN, "description": "Zürich"}],
    "sep": [PLAIN],
    "utf16": [{**PLAIN, "description": "Zürich"}],
    "trailcol": [PLAIN],
    "hdrspace": [{name: PLAIN[name] for name in ("device_name", "description", "device_pool")}],
    "axlcase": [PLAIN],
    "trailrows": [PLAIN],
    "bat": [
        {
            "device_name": A,
            "description": "x",
            "device_pool": "ZRH",
            "security_profile": "Cisco 8845 - Standard",
        }
    ],
}
REFUSED = {
    "cp1252": "list.csv line 2: not valid UTF-8, probably Windows-1252 (cp1252); save the file as CSV UTF-8",
    "shortrow": "list.csv line 2: the row has 4 cells, and the header has 5; check its separators and quotes",
    "onlyhead": "list.csv: the list has no phones; add a row for each phone below its header",
}


@pytest.mark.parametrize("name", AS_MEANT)
def test_p51_a_list_is_read_as_it_is_meant(name: str) -> None:
    table = read((LISTS / f"{name}.csv").read_bytes())
    assert table.phones == AS_MEANT[name]
    ignored = ["list.csv: columns that are not read: Phone Load Name"] if name == "bat" else []
    assert table.warnings == ignored


@pytest.mark.parametrize("name", REFUSED)
def test_p51_a_list_that_cannot_be_read_is_named_with_its_line_and_what_to_do(name: str) -> None:
    assert refusal((LISTS / f"{name}.csv").read_bytes()) == REFUSED[name]


@pytest.mark.parametrize("name", [*AS_MEANT, *REFUSED])
def test_p51_the_lab_reads_the_same_lists(name: str) -> None:
    path = LISTS / f"{name}.csv"
    if name in AS_MEANT:
        assert [row.device_name for row in csvfile.read(path)] == [row["device_name"] for row in AS_MEANT[name]]
        return
    with pytest.raises(csvfile.CsvError) as refused:
        csvfile.read(path)
    assert str(refused.value) == REFUSED[name].replace("list.csv", str(path))


def test_p51_line_breaks_in_cells_are_kept_and_rows_have_the_line_where_they_begin() -> None:
    table = read((LISTS / "newline.csv").read_bytes())
    assert table.phones[0]["description"] == "Reception\r\nsecond line"
    assert table.lines == [2, 4]


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        (f"\n\ndevice_name\n\n{A}\n , \n", [{"device_name": A}]),
        (f"device_name\tmic\n{A}\tY\n", [{"device_name": A, "mic": True}]),
        (f"sep=;\r\ndevice_name;mic\r\n{A};FALSCH\r\n", [{"device_name": A, "mic": False}]),
        (f"DEVICE_NAME,Key_Size\n{A},2048.0\n", [{"device_name": A, "key_size": 2048}]),
        (f"device\u00a0name,MIC\n{A},WAHR\n", [{"device_name": A, "mic": True}]),
        (f'Device Name,EC Key Size (Bits)\n{A},"384,00"\n', [{"device_name": A, "ec_key_size": 384}]),
        (f"MAC ADDRESS,Authentication Mode\n{A},by  null string\n", [PLAIN | {"description": None}]),
        (f'device_name,description\n{A},"=""0041"""\n', [{"device_name": A, "description": "0041"}]),
        (f"device_name,lab_behaviour\n{A},slow\n", [{"device_name": A}]),
        (f"device_name,,\n{A},,,,\n", [{"device_name": A}]),
        (f"device_name|mic\n{A}|1,0\n", [{"device_name": A, "mic": True}]),
        (f"\n sep = ;\ndevice_name;mic\n{A};J\n", [{"device_name": A, "mic": True}]),
        (f'"sep=\\t"\ndevice_name\tmic\n{A}\tFAŁSZ\n', [{"device_name": A, "mic": False}]),
        (f'device_name, "description"\n{A}, "x, y"\n', [{"device_name": A, "description": "x, y"}]),
        (f"device_name;key_size\r\n{A};2048,0\r\n\x1a", [{"device_name": A, "key_size": 2048}]),
    ],
)
def test_p51_people_and_programs_write_lists_in_many_ways(text: str, phones: list[dict[str, Any]]) -> None:
    if phones[0].get("description", "") is None:
        phones = [{"device_name": A, "authentication_mode": "By Null String"}]
    table = read(text)
    assert (table.phones, table.warnings) == (phones, [])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"device_name,,mic\n{A},,1\n{B},x,1\n", "line 3: the cell 'x' is in column 2, which has no name in line 1"),
        (f"device_name,\n{A},12345678\n", "line 2: the cell '(hidden)' is in column 2"),
        (f"device_name,colour\n{A},red\n", "line 1: column 'colour' is unknown; allowed: device_name, description"),
        (f"device_name,Operation Status\n{A},x\n", "line 1: column 'Operation Status' is unknown"),
        (f"device_name,mic,MIC\n{A},1,1\n", "line 1: duplicate column 'MIC'; keep one of them"),
        (
            f"Device Name,Key Size,RSA Key Size\n{A},,\n",
            "duplicate column 'RSA Key Size', which means the same as 'Key",
        ),
        (f"device_name,mic\n{A},perhaps\n", "line 2 mic: 'perhaps' is refused; allowed: true or false"),
        (f"device_name,key_size\n{A},2048.5\n", "line 2 key_size: '2048.5' is refused; allowed: a number of at most"),
        (f"device_name,mic\n{A},1\n,1\n", "line 3 device_name is empty; give a device name"),
        (f"device_name\n{A},x\n", "line 2: the row has 2 cells, and the header has 1"),
        ("device_name\n".encode("utf-16-le"), "line 1: not text, or UTF-16 without its byte order mark; save the file"),
        ("device_name\n".encode("utf-16")[:-1], "not valid UTF-16; save the file as CSV UTF-8"),
        (b"PK\x03\x04...", "list.csv: a workbook, not a CSV file; save the file as CSV UTF-8"),
        (b"", "list.csv line 1: the column device_name is missing"),
        (f"device_name:mic\n{A}:1\n", "line 1: the header is a single cell, 'device_name:mic'; separate the columns"),
        (
            f'"device_name,mic"\n"{A},1"\n',
            "without quotes around whole rows, or begin the file with a line such as sep=",
        ),
        (f"\nsep=;\ndevice_name,mic\n{A},1\n", "line 3: the header is a single cell, 'device_name,mic'; separate"),
        (
            "device_name\n".encode("utf-32"),
            "line 1: not text, or UTF-16 without its byte order mark; save the file as CSV",
        ),
        (f"device_name,description\n{A},Zürich\n".encode("cp850"), "line 2: not valid UTF-8"),
    ],
)
def test_p51_what_is_not_clear_is_refused(text: str | bytes, why: str) -> None:
    assert why in refusal(text)


def test_p51_unknown_columns_of_an_export_are_named_once() -> None:
    table = read(f"Device Name,Phone Load Name,,CSS,Wave\n{A},a,,b,1\n{B},a,z,b,1\n")
    assert table.warnings == ["list.csv: columns that are not read: Phone Load Name, CSS, column 3 (without a name)"]
    assert table.phones == [{"device_name": A}, {"device_name": B}]


def test_p51_columns_of_an_export_that_nobody_reads_may_have_one_name() -> None:
    table = read(f"Device Name,Speed Dial,Speed Dial\n{A},1,2\n")
    assert table.warnings == ["list.csv: columns that are not read: Speed Dial, Speed Dial"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


RISKY = st.sampled_from("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\u200b ")
NUMERIC = st.text("0123456789E/:.,- ", min_size=1)


@given(st.one_of(TEXT, st.builds("".join, st.tuples(RISKY, TEXT)), NUMERIC))
@example("0041")
@example("1-2")
@example("\u200b")
@example('="0041"')
def test_p51_text_comes_back_from_our_own_files_as_it_was(text: str) -> None:
    phone = {"device_name": A, "description": text}
    written = "".join(
        report.csv_of([phone], {"Device Name": "device_name", "Description": "description"}, ["description"])
    )
    assert written.startswith("\ufeff")
    assert read(written).phones == [phone]
    cell = list(csv.reader(io.StringIO(written, newline="")))[1][1]
    assert cell[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


CHANGED = (
    "0041",
    "1-2",
    "1/2",
    "3:15",
    "1E5",
    "1.5",
    "3. März",
    "MAR1",
    "10 PM",
    "123456789012",
    "10.0.0.1",
    "TRUE",
    "5 %",
    "2 p",
    "3月5日",
    "PRAWDA",
)
UNCHANGED = (
    "41",
    "0",
    "HQ desk 1",
    "Cisco 8845",
    "2nd floor",
    "Zürich",
    "A-1",
    "12345678",
    "SEP0011AA000001",
    "hall 1",
)


@pytest.mark.parametrize("text", CHANGED)
def test_p51_what_a_spreadsheet_would_change_is_written_so_that_it_is_text(text: str) -> None:
    assert cells.written(text) == f"\u200b{text}\u200b"


@pytest.mark.parametrize("text", UNCHANGED)
def test_p51_other_text_is_written_as_it_is(text: str) -> None:
    assert cells.written(text) == text


def test_p51_a_phone_twice_is_named_by_both_places(record: Record) -> None:
    listed = read((LISTS / "dup.csv").read_bytes()).phones
    with pytest.raises(InvalidRequestError) as refused:
        record.run(lambda c: phones.ensure(Transaction(c, record.context, "test"), listed, "present"))
    (problem,) = refused.value.problems
    assert problem.field == "phones[1].device_name"
    assert problem.message == f"{A} is listed twice, first as phones[0]; list each phone once"


@pytest.mark.parametrize("name", ["description", "device_pool", "device_type", "security_profile"])
def test_p51_text_has_at_most_255_characters(record: Record, name: str) -> None:
    record.add(A, **{name: "ü" * 255})
    with pytest.raises(InvalidRequestError) as refused:
        record.add(A, **{name: "ü" * 256})
    (problem,) = refused.value.problems
    assert problem.field == f"phones[0].{name}" and problem.message.endswith("has 256 characters; allowed: at most 255")


def refused_strings(record: Record, listed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the positions of strings in a list that phones do not accept, and the reasons."""
    with pytest.raises(InvalidRequestError) as refused:
        record.run(lambda c: strings.refuse_wrong(Transaction(c, record.context, "test"), listed))
    return [(problem.field, problem.message) for problem in refused.value.problems]


def test_p51_numbers_as_a_spreadsheet_rewrote_them_are_no_strings(record: Record) -> None:
    listed = read((LISTS / "sci.csv").read_bytes()).phones
    why = [(f"phones[{index}].authentication_string", strings.IS_A_NUMBER) for index in (0, 1)]
    assert refused_strings(record, listed) == why


def test_p51_strings_that_lost_a_digit_are_named_against_what_is_pending(record: Record) -> None:
    listed = read((LISTS / "excel_back.csv").read_bytes()).phones
    for phone in listed:
        record.add(phone["device_name"], authentication_mode="By Authentication String")
    whole = [{**phone, "authentication_string": phone["authentication_string"].zfill(8)} for phone in listed]
    record.plan(items=whole)
    shrunk = [index for index, phone in enumerate(listed) if phone not in whole]
    assert len(shrunk) == 9
    why = [(f"phones[{index}].authentication_string", strings.HAS_SHRUNK) for index in shrunk]
    assert refused_strings(record, listed) == why
