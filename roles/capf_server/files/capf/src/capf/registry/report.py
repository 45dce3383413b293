"""The CAPF report: CSV that opens in a spreadsheet (R30)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
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
    "LSC Status": "lsc_status",
    "LSC": "lsc",
    "LSC Expires": "lsc_expires",
    "LSC Issued By": "lsc_issued_by",
    "LSC Issuer Expires By": "lsc_issuer_expires_by",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _cell(value: Any) -> str:
    """Return a value as text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines(phones: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the report in pieces of CSV text: the header first, then the phones."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for phone in phones:
        writer.writerow([_cell(phone.get(field)) for field in COLUMNS.values()])
        if buffer.tell() > io.DEFAULT_BUFFER_SIZE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
