"""The CAPF report: CSV that opens in a spreadsheet, JSON, and the figures of the page (R30)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

COLUMNS: Mapping[str, str] = {
    "Device Name": "device_name",
    "Description": "description",
    "Device Pool": "device_pool",
    "Device Type": "device_type",
    "Security Profile": "security_profile",
    "Device Security Mode": "device_security_mode",
    "Certificate Operation": "certificate_operation",
    "Authentication Mode": "authentication_mode",
    "Authentication String": "authentication_string",
    "Operation Completes By": "operation_completes_by",
    "Operation Status": "operation_status",
    "Last Problem": "last_problem",
    "LSC Status": "lsc_status",
    "LSC": "lsc",
    "LSC Expires": "lsc_expires",
    "LSC Issued By": "lsc_issued_by",
    "LSC Issuer Expires By": "lsc_issuer_expires_by",
}
_FORMULA = frozenset("=+-@\t\r")
_PIECE = 500
SHOWN = 1000
"""Phones in the table of the page; the figures are of all."""

Phones = Iterable[Mapping[str, Any]]


def _cell(value: Any) -> str:
    """Return a value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text[:1] in _FORMULA else text


def csv_pieces(phones: Phones) -> Iterator[str]:
    """Yield the report in pieces of CSV text: the header first, then the phones."""
    fields = tuple(COLUMNS.values())
    rows = ([_cell(phone.get(name)) for name in fields] for phone in phones)
    header: list[list[str]] = [list(COLUMNS)]
    while piece := header or list(islice(rows, _PIECE)):
        buffer = io.StringIO()
        csv.writer(buffer).writerows(piece)
        yield buffer.getvalue()
        header = []


def json_pieces(phones: Phones) -> Iterator[str]:
    """Yield the report in pieces of a JSON array, one phone a line."""
    lines = (json.dumps(phone, ensure_ascii=False) for phone in phones)
    before = "[\n"
    while piece := list(islice(lines, _PIECE)):
        yield before + ",\n".join(piece)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


@dataclass(slots=True)
class Figures:
    """What the page shows: numbers of all phones, and the first of them."""

    phones: int = 0
    installed: int = 0
    pending: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    shown: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many phones' latest operation failed."""
        return self.failures.total()


def figures(phones: Phones) -> Figures:
    """Count phones by LSC status, by the month in which their LSC expires, and by the cause of a failure."""
    tally = Figures()
    for phone in phones:
        status = phone["operation_status"]
        tally.phones += 1
        tally.statuses[status] += 1
        tally.pending += phone["certificate_operation"] != "No Pending Operation"
        if phone["lsc_expires"] is not None:
            tally.installed += 1
            tally.months[phone["lsc_expires"][:7]] += 1
        if " Failed" in status:
            tally.failures[status.partition(": ")[2] or "No cause given"] += 1
        if len(tally.shown) < SHOWN:
            tally.shown.append(phone)
    return tally
