# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a spreadsheet does to a CSV file that is opened and saved: cells that look like numbers become numbers."""

from __future__ import annotations

import csv
import io

_SHOWN_DIGITS = 11
"""A longer number is shown, and saved, in powers of ten."""


def saved(text: str) -> str:
    """Return a CSV file as a spreadsheet saves it."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")))
    return buffer.getvalue()


def _cell(text: str) -> str:
    if not text.isdecimal():
        return text
    number = str(int(text))
    return number if len(number) <= _SHOWN_DIGITS else f"{int(text):.5E}"
