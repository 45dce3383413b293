# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a spreadsheet does to a CSV file: it shows its cells, and cells that look like numbers are saved as numbers."""

from __future__ import annotations

import csv
import io

_SHOWN_DIGITS = 11
"""Longer numbers are shown and saved in scientific notation."""


_INVISIBLE = "\u200b"


def opened(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as a person sees them, without what is not visible."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    return [{title: cell.replace(_INVISIBLE, "") for title, cell in row.items()} for row in rows]


def saved(text: str) -> str:
    """Return a CSV file as a spreadsheet would save it."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")))
    return buffer.getvalue()


def _cell(text: str) -> str:
    if not text.isdecimal():
        return text
    number = str(int(text))
    return number if len(number) <= _SHOWN_DIGITS else f"{int(text):.5E}"
