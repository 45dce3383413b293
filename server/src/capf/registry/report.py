# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF report: CSV for spreadsheets, JSON, and the figures of the page (R30)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any

from capf.lists import cells
from capf.model import Operation, State, status_of
from capf.registry import moment, phone_fields
from capf.registry.transaction import Transaction
from capf.store import audit

COLUMNS: Mapping[str, str] = phone_fields.columns()
_FREE_TEXT = phone_fields.names(field for field in phone_fields.FIELDS if field.free_text)
"""Columns with text from people and phones; all others are the server's own words."""
_PIECE = 500
SHOWN = 1000
"""The number of phones in the table of the page; the figures cover all phones."""

Phones = Iterable[Mapping[str, Any]]


def as_of(tx: Transaction) -> str | None:
    """Return when something was last done that the report can show."""
    return moment.show(audit.last_at(tx.connection))


def _safe(free_text: Sequence[str], phone: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the phone with its texts as a spreadsheet shows them unchanged."""
    texts = ((name, phone[name]) for name in free_text if phone.get(name))
    changed = {name: cell for name, text in texts if (cell := cells.written(text)) is not text}
    return {**phone, **changed} if changed else phone


def csv_pieces(phones: Phones) -> Iterator[str]:
    """Yield the report in pieces of CSV text: the header first, then the phones."""
    return csv_of(phones, COLUMNS, _FREE_TEXT)


def csv_of(phones: Phones, columns: Mapping[str, str], free_text: Sequence[str]) -> Iterator[str]:
    """Yield columns, each with its field of the phones, as pieces of CSV that a spreadsheet shows unchanged.

    ``free_text`` are the fields with text from people and phones.
    """
    yield cells.BYTE_ORDER_MARK + _text([tuple(columns)])
    shown, row = map(partial(_safe, free_text), phones), itemgetter(*columns.values())
    while piece := list(islice(shown, _PIECE)):
        missing = dict.fromkeys(name for name in columns.values() if name not in piece[0])
        yield _text(row({**missing, **phone} if missing else phone) for phone in piece)


def _text(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def json_pieces(phones: Phones) -> Iterator[str]:
    """Yield the report in pieces of a JSON array, one phone per line."""
    lines = (json.dumps(phone, ensure_ascii=False) for phone in phones)
    before = "[\n"
    while piece := list(islice(lines, _PIECE)):
        yield before + ",\n".join(piece)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


@dataclass(slots=True)
class PhoneFigures:
    """The content of the page: statistics of all phones, and the first of them."""

    phones: int = 0
    installed: int = 0
    pending: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    shown: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """The number of phones whose latest operation failed."""
        return self.failures.total()


def figures(phones: Phones) -> PhoneFigures:
    """Count phones by LSC status, by the month in which their LSC expires, and by the cause of a failure."""
    tally = PhoneFigures()
    for phone in phones:
        status = phone[phone_fields.STATUS]
        tally.phones += 1
        tally.statuses[status] += 1
        tally.pending += phone[phone_fields.OPERATION] != Operation.NONE
        if phone[phone_fields.EXPIRES] is not None:
            tally.installed += 1
            tally.months[phone[phone_fields.EXPIRES][:7]] += 1
        if phone[phone_fields.STATE] == State.FAILED:
            tally.failures[status_of(status).cause or "No cause given"] += 1
        if len(tally.shown) < SHOWN:
            tally.shown.append(phone)
    return tally
