# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader for all lists of phones that people, spreadsheets and other systems make.

A list is the administrator's own if its column of device names is called ``device_name``: there, an unknown column is
an error. A list with titles (``Device Name``) is an export of another system: a single warning names its columns that
are not read.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from capf.lists import cells

NAME = "device_name"
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'\s*"?sep ?= ?(\\t|[^\r\n])"?[,;\t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_STRING_LIKE = re.compile(r"[0-9][0-9.,+eE]*")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_TO_DO = "save the file as CSV UTF-8"
_SEPARATE = (
    "separate the columns with commas, semicolons, tabs or |, without quotes around whole rows, or begin the file with"
    " a line such as sep=:"
)


class ListError(Exception):
    """A list that cannot be used. The message names the file, the line, and what to do."""


class Column(NamedTuple):
    """A possible column of a list.

    ``titles``: its names in exports; ``kind``: whether its cells are ``str``, ``int`` or ``bool``; ``choices``: its
    values, which are read in any case.
    """

    name: str
    titles: Sequence[str] = ()
    kind: str = "str"
    choices: Sequence[str] = ()


class Columns:
    """The columns of one kind of list.

    ``aside``: titles of columns in this project's own exports that are not read; ``prefix``: the beginning of column
    names in the administrator's own lists that are for other programs.
    """

    def __init__(self, columns: Sequence[Column], aside: Sequence[str] = (), prefix: str = "lab_") -> None:
        self.names = {column.name: column for column in columns}
        self.titles = {cells.key(title): column for column in columns for title in column.titles}
        self.aside = frozenset(map(cells.key, aside))
        self.prefix = prefix
        self.names_in_exports = [title for title, column in self.titles.items() if column.name == NAME]

    def of(self, key: str) -> Column | None:
        """Return the column that has this name or title."""
        return self.names.get(key) or self.titles.get(key)

    def knows(self, key: str) -> bool:
        """Return whether a header has a meaning."""
        return key in self.names or key in self.titles or key in self.aside or key.startswith(self.prefix)


class Table(NamedTuple):
    """The phones of a list, each with the values of its cells that are not empty, and the line where it begins.

    ``warnings`` name the columns that were not read.
    """

    phones: list[dict[str, Any]]
    lines: list[int]
    warnings: list[str]


class _Title(NamedTuple):
    """The cell of a column in the header: where it is, its text, and the form by which it is compared."""

    at: int
    text: str
    key: str


class _Header(NamedTuple):
    """The header of a list: the columns that are read, each with its index.

    ``own``: the list is the administrator's own; every row has at least ``width`` cells and at most ``cells``.
    ``unnamed``: the indexes of cells without a column name; ``ignored``: the columns that are not read.
    """

    line: int
    columns: list[tuple[int, Column]]
    own: bool
    width: int
    cells: int
    unnamed: list[int]
    ignored: list[str]


def read(path: str, data: bytes, columns: Columns) -> Table:
    """Return the phones of a CSV file; ListError names the first line that is wrong. ``path`` is for messages."""
    text, separator, skipped = _separated(path, _text(path, data), columns)
    rows = _rows(path, text, separator, skipped)
    line, titles = next(rows, (1, [""]))
    header = _header(path, line, titles, columns)
    phones, lines, unnamed = list[dict[str, Any]](), list[int](), set[int]()
    for line, row in rows:
        unnamed.update(_check(path, line, row, header))
        phones.append(_phone(f"{path} line {line}", row, header))
        lines.append(line)
    if not phones:
        raise ListError(f"{path}: the list has no phones; add a row for each phone below its header")
    return Table(phones, lines, _warnings(path, header, unnamed))


def named(column: str) -> str:
    """Return a column's name for an error message, hidden if it looks like an authentication string."""
    return "(hidden)" if _STRING_LIKE.fullmatch(column.strip()) else column


def _text(path: str, data: bytes) -> str:
    """Return the text of a file by its byte order mark, in UTF-8 without one."""
    if data.startswith(_WORKBOOKS):
        raise ListError(f"{path}: a workbook, not a CSV file; {_TO_DO}")
    wide = data.startswith(_UTF_16)
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise ListError(f"{path}: not valid UTF-16; {_TO_DO}") from None
        line = len((error.object[: int(error.start)] + b"x").splitlines())
        raise ListError(f"{path} line {line}: not valid UTF-8, probably Windows-1252 (cp1252); {_TO_DO}") from None
    if "\0" in text:
        line = len(re.split("\r\n|\r|\n", text[: text.index("\0")]))
        raise ListError(f"{path} line {line}: not text, or UTF-16 without its byte order mark; {_TO_DO}")
    return text


def _separated(path: str, text: str, columns: Columns) -> tuple[str, str, int]:
    """Return the text from its header on, its separator, and the number of lines before it.

    Without a line ``sep=``, the separator is the one with which the header has the most known columns.
    """
    first = _SEPARATOR_LINE.match(text)
    if first is not None:
        return text[first.end() :], first[1].replace("\\t", "\t"), len(re.findall("\r\n|\r|\n", first[0]))

    def columns_with(separator: str) -> tuple[int, int]:
        try:
            _line, titles = next(_rows(path, text, separator, 0), (1, []))
        except ListError:
            return 0, 0
        return sum(columns.knows(cells.key(title)) for title in titles), len(titles)

    return text, max(_SEPARATORS, key=columns_with), 0


def _rows(path: str, text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where a row begins, and its cells; rows without any text are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error:  # the line where the row begins: an open quote swallows all lines after it
            raise ListError(f"{path} line {line}: the row is not valid CSV; check its quotes") from None
        if row is None:
            return
        texts = [cells.meant(cell) for cell in row]
        if any(texts):
            yield line, texts


def _header(path: str, line: int, row: Sequence[str], columns: Columns) -> _Header:
    titles = [_Title(index, text, cells.key(text)) for index, text in enumerate(row) if text]
    found = [(title.at, column) for title in titles if (column := columns.of(title.key)) is not None]
    is_list = any(column.name == NAME for _index, column in found)
    own = not is_list or any(title.key == NAME for title in titles)
    _check_header(f"{path} line {line}", titles, columns, own=own)
    if not is_list:
        raise ListError(f"{path} line {line}: the column {NAME} is missing")
    return _Header(
        line,
        found,
        own,
        width=1 + titles[-1].at,
        cells=len(row),
        unnamed=[index for index, text in enumerate(row) if not text],
        ignored=[named(title.text) for title in titles if not columns.knows(title.key)],
    )


def _check_header(place: str, titles: Sequence[_Title], columns: Columns, *, own: bool) -> None:
    """Raise ListError for duplicate columns, and for unknown ones in the administrator's own list."""
    seen = dict[str, _Title]()
    for title in titles:
        column = columns.of(title.key)
        other = seen.setdefault(title.key if column is None else column.name, title)
        if other is not title and (own or column is not None):
            same = "" if other.key == title.key else f", which means the same as {named(other.text)!r}"
            raise ListError(f"{place}: duplicate column {named(title.text)!r}{same}; keep one of them")
    for title in titles:
        if own and columns.of(title.key) is None and not title.key.startswith(columns.prefix):
            if len(titles) == 1 and any(known in title.key for known in (NAME, *columns.names_in_exports)):
                raise ListError(f"{place}: the header is a single cell, {cells.shown(title.text)}; {_SEPARATE}")
            allowed = ", ".join(columns.names)
            raise ListError(f"{place}: column {named(title.text)!r} is unknown; allowed: {allowed}")


def _check(path: str, line: int, row: Sequence[str], header: _Header) -> list[int]:
    """Return the indexes of cells with a text and no column name; ListError for these in the administrator's own list,
    and for a row with fewer or more cells than the header."""
    if len(row) < header.width or any(row[header.cells :]):
        found = f"the row has {len(row)} cells, and the header has {header.width}"
        raise ListError(f"{path} line {line}: {found}; check its separators and quotes")
    used = [index for index in header.unnamed if index < len(row) and row[index]]
    if used and header.own:
        text = cells.shown(named(row[used[0]]))
        raise ListError(
            f"{path} line {line}: the cell {text} is in column {used[0] + 1}, which has no name in line {header.line};"
            " name the column, or delete the cell"
        )
    return used


def _phone(place: str, row: Sequence[str], header: _Header) -> dict[str, Any]:
    """Return the values of the cells that are not empty."""
    phone = {
        column.name: text if column.kind == "str" and not column.choices else _value(place, column, text)
        for index, column in header.columns
        if (text := row[index])
    }
    if NAME not in phone:
        raise ListError(f"{place} {NAME} is empty; give a device name")
    return phone


def _value(place: str, column: Column, text: str) -> Any:
    """Return the value of a cell; the server refuses a value that is not one of the choices."""
    if column.kind == "str":
        return cells.choice(text, column.choices)
    found = cells.whole(text) if column.kind == "int" else cells.flag(text)
    if found is None:
        allowed = cells.NUMBERS_ALLOWED if column.kind == "int" else cells.FLAGS_ALLOWED
        raise ListError(f"{place} {column.name}: {cells.shown(text)} is refused; allowed: {allowed}")
    return found


def _warnings(path: str, header: _Header, unnamed: set[int]) -> list[str]:
    """Return one warning that names the columns that were not read, if there are any."""
    ignored = header.ignored + [f"column {index + 1} (without a name)" for index in sorted(unnamed)]
    return [f"{path}: columns that are not read: {', '.join(ignored)}"] if ignored else []
