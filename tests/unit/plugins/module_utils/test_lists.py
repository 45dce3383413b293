# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError
from ansible_collections.ucm.capf.plugins.module_utils._lists import read, selected

A, B = "SEP00000000000A", "SEP00000000000B"


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "phones.csv"


def test_cells_become_values_and_empty_cells_are_not_given(path: Path) -> None:
    path.write_text(f"device_name,key_size,mic,description,lab_behaviour\n{A},2048,Yes,,slow\n")
    assert read(str(path)).phones == [{"device_name": A, "key_size": 2048, "mic": True}]


def test_a_byte_order_mark_of_a_spreadsheet_is_passed_over(path: Path) -> None:
    path.write_text(f"\ufeffdevice_name\n{A}\n", encoding="utf-8")
    assert read(str(path)).names == [A]


class Given:
    """What a function takes from a module: its options, and a place for warnings."""

    def __init__(self, **params: t.Any) -> None:
        self.params = params
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warned.append(text)


def test_names_come_from_the_list_or_from_the_file(path: Path) -> None:
    path.write_text(f"device_name\n{A}\n")
    assert selected(t.cast("t.Any", Given(csv_file=str(path), phones=None))).names == [A]
    assert selected(t.cast("t.Any", Given(csv_file=None, phones=[B]))).names == [B]


def test_p51_each_module_that_takes_a_list_names_the_columns_that_it_does_not_read(path: Path) -> None:
    path.write_text(f"Device Name,Phone Load Name\n{A},x\n")
    module = Given(csv_file=str(path), phones=None)
    selected(t.cast("t.Any", module))
    assert module.warned == [f"{path}: columns that are not read: Phone Load Name"]


def test_an_index_of_the_server_becomes_a_line_of_the_file(path: Path) -> None:
    path.write_text(f'device_name,description\n{A},"two\nlines"\n{B},\n')
    error = CapfError(
        "2 problems; nothing was changed",
        [
            {"field": "items[1].key_size", "value": "5", "message": "'5' is refused; allowed: 1024"},
            {"field": "completes_by", "value": "x", "message": "'x' is refused; allowed: a time"},
        ],
    )
    located = read(str(path)).located(error)
    assert [problem["field"] for problem in located.problems] == [f"{path} line 4 key_size", "completes_by"]
    assert str(located).startswith(f"2 problems; nothing was changed. {path} line 4 key_size: '5' is refused")


def test_only_takes_some_rows_and_keeps_their_lines(path: Path) -> None:
    path.write_text(f"device_name\n{A}\n{B}\n")
    rows = read(str(path))
    assert rows.only(None) is rows
    assert (rows.only([B]).names, rows.only([B]).lines) == ([B], [3])
    with pytest.raises(CapfError, match="only: 'SEP1' is not in"):
        rows.only(["SEP1"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("name\n", "line 1: column 'name' is unknown"),
        ("description\n", "line 1: the column device_name is missing"),
        (f"device_name,mic\n{A},perhaps\n", "line 2 mic: 'perhaps' is refused; allowed: true or false"),
        (f"device_name,key_size\n{A},-1\n", "line 2 key_size: '-1' is refused; allowed: a number"),
        (f"device_name\n{A}\n{A},x\n", "line 3: the row has 2 cells, and the header has 1"),
        (
            "device_name,key_size\n{},{}\n".format(A, "9" * 5000),
            "line 2 key_size: '9{100}...' is refused; allowed: a",
        ),
        (f"device_name,mic,mic\n{A},yes,no\n", "line 1: duplicate column 'mic'"),
        (f"{A},12345678\n", f"line 1: column '{A}' is unknown"),
        ("device_name,12345678\n", r"line 1: column '\(hidden\)' is unknown"),
        ("device_name,12345678,12345678\n", r"line 1: duplicate column '\(hidden\)'"),
        (f'device_name\n{A}\n"{B}\n{A}\n{A}\n', "line 3: the row is not valid CSV; check its quotes"),
        (f'device_name,description\n{A},"a"b\n', "line 2: the row is not valid CSV; check its quotes"),
        (f'"device_name\n{A}\n', "line 1: the row is not valid CSV; check its quotes"),
    ],
)
def test_a_bad_row_is_named_by_its_line(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(CapfError, match=message):
        read(str(path))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("start, line", [(b"", 2), (b"\xef\xbb\xbf", 2), (b"a,", 2), (b"device_name\r\n", 3)])
def test_a_row_that_is_no_utf_8_is_named_by_its_line(path: Path, start: bytes, line: int, end: bytes) -> None:
    path.write_bytes(start + b"device_name" + end + b"M\xfcnchen" + end)
    with pytest.raises(
        CapfError, match=f"line {line}: not valid UTF-8, probably Windows-1252 .cp1252.; save the file as CSV UTF-8"
    ):
        read(str(path))


def test_a_server_out_of_reach_stays_so_when_its_lines_are_named(path: Path) -> None:
    path.write_text(f"device_name\n{A}\n")
    rows = read(str(path))
    assert rows.located(CapfError("the database is away", unavailable=True)).unavailable
    assert not rows.located(CapfError("1 problem")).unavailable


def test_a_refusal_that_names_no_row_is_reported_whole(path: Path) -> None:
    path.write_text(f"device_name\n{A}\n")
    refused = CapfError("nothing was reset. Reset the phones again when the nodes answer")
    assert str(read(str(path)).located(refused)) == str(refused)
