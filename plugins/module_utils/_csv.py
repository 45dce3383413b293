# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CSV files of phones, which are read completely or refused with the line that is wrong."""

from __future__ import annotations

import csv
import io
import re
import typing as t

from ._client import CapfError, describe
from ._files import read as read_file
from ._paths import absolute
from ._phone_fields import PHONE_SETTINGS

_NUMBERS = tuple(name for name, option in PHONE_SETTINGS.items() if option["type"] == "int")
_FLAGS = tuple(name for name, option in PHONE_SETTINGS.items() if option["type"] == "bool")
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
PHONE_COLUMNS = ("device_name", *PHONE_SETTINGS)
SECRET_COLUMN = "authentication_string"
ROLLOUT_COLUMN = "security_mode_after"
_LAB = "lab_"
_STRING_LIKE = re.compile(r"[0-9][0-9.,+eE]*")
_DIGITS = 9
_SHOWN_CHARACTERS = 100


class Rows:
    """The phones of a file, one mapping each, and the line (or C(unit)) that each of them comes from."""

    def __init__(self, path: str, phones: list[dict[str, t.Any]], lines: list[t.Any], unit: str = "line") -> None:
        self.path = path
        self.phones = phones
        self.lines = lines
        self._unit = unit

    @property
    def names(self) -> list[str]:
        """The device names."""
        return [phone["device_name"] for phone in self.phones]

    def only(self, names: list[str] | None) -> Rows:
        """Return the rows with these device names, or all rows for None; CapfError if a name is not in the file."""
        if names is None:
            return self
        wanted = set(names)
        for name in sorted(wanted.difference(self.names)):
            raise CapfError(f"only: {name!r} is not in {self.path}; give device names of that file")
        kept = [index for index, name in enumerate(self.names) if name in wanted]
        return Rows(self.path, [self.phones[index] for index in kept], [self.lines[index] for index in kept])

    def located(self, error: CapfError) -> CapfError:
        """Return the server's error with the file's lines in place of the request's indexes."""
        if not error.problems:
            return error
        problems = [dict(problem, field=self._place(problem["field"])) for problem in error.problems]
        message = describe(str(error).split(". ", 1)[0], problems)
        return CapfError(message, problems, error.unavailable, error.code, error.details)

    def _place(self, field: str) -> str:
        number, bracket, rest = field.partition("[")[2].partition("]")
        if not bracket or not number.isdecimal():
            return field
        return "{} {} {}{}".format(self.path, self._unit, self.lines[int(number)], rest.replace(".", " ", 1))


def read_table(path: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the header of a CSV file, and the line and cells of each row; CapfError names the bad line."""
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    last = 0
    try:
        columns = list(reader.fieldnames or [])
        _check_once(path, columns)
        last = reader.line_num
        for row in reader:
            last = reader.line_num
            rows.append((last, _cells(path, last, row)))
    except csv.Error as error:  # the line where the row begins: an open quote swallows all lines after it
        raise CapfError(f"{path} line {last + 1}: the row is not valid CSV: {error}") from None
    return columns, rows


def _text(path: str) -> str:
    try:
        return read_file("csv_file", path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len((error.object[: int(error.start)] + b"x").splitlines())
        raise CapfError(f"{path} line {line}: not valid UTF-8; save the file as CSV UTF-8: {error.reason}") from None


def _check_once(path: str, columns: list[str]) -> None:
    for column in sorted(set(columns)):
        if columns.count(column) > 1:
            raise CapfError(f"{path} line 1: duplicate column {named(column)!r}")


def named(column: str) -> str:
    """Return a column's name for an error message, hidden if it looks like an authentication string."""
    return "(hidden)" if _STRING_LIKE.fullmatch(column.strip()) else column


def _cells(path: str, line: int, row: dict[t.Any, t.Any]) -> dict[str, str]:
    if None in row or None in row.values():
        raise CapfError(f"{path} line {line}: the row and the header have different numbers of cells")
    return {name: text.strip() for name, text in row.items()}


def read(path: str) -> Rows:
    """Return the phones without empty cells and without C(lab_) columns; CapfError names the line that is wrong."""
    path = absolute(path)
    columns, rows = read_table(path)
    _check_header(path, columns)
    return Rows(path, [_row(path, line, cells) for line, cells in rows], [line for line, cells in rows])


def _check_header(path: str, columns: list[str]) -> None:
    allowed = (*PHONE_COLUMNS, SECRET_COLUMN, ROLLOUT_COLUMN)
    for column in columns:
        if column not in allowed and not column.startswith(_LAB):
            unknown = "{0} line 1: column {1!r} is unknown; allowed: {2}"
            raise CapfError(unknown.format(path, named(column), ", ".join(allowed)))
    if "device_name" not in columns:
        raise CapfError(f"{path} line 1: the column device_name is missing")


def _row(path: str, line: int, row: dict[str, str]) -> dict[str, t.Any]:
    cells = {name: text for name, text in row.items() if text and not name.startswith(_LAB)}
    if "device_name" not in cells:
        raise CapfError(f"{path} line {line} device_name is empty; give a device name")
    return {name: _value(path, line, name, text) for name, text in cells.items()}


def _value(path: str, line: int, name: str, text: str) -> t.Any:
    if name in _NUMBERS:
        return whole(text, f"{path} line {line} {name}")
    if name in _FLAGS:
        if text.lower() not in FLAGS:
            raise CapfError(f"{path} line {line} {name}: {text!r} is refused; allowed: true or false")
        return FLAGS[text.lower()]
    return text


def whole(value: t.Any, place: str) -> int:
    """Return a number written in digits; CapfError if the text is not a number or has too many digits."""
    text = str(value)
    if not text.isdecimal() or len(text) > _DIGITS:
        shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
        raise CapfError(f"{place}: {shown!r} is refused; allowed: a number of at most {_DIGITS} digits")
    return int(text)


def names_of(params: dict[str, t.Any]) -> t.Any:
    """Return the device names of the option O(phones) or O(csv_file), None if neither is set."""
    if params["csv_file"] is None:
        return params["phones"]
    return read(params["csv_file"]).names
