# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events that others may act on: failures from the audit table, and certificates that expire soon."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from capf.certificates import authority
from capf.model import InvalidRequestError, Problem
from capf.registry import guessing, health, moment, need, refusals
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import audit, certificate_rows
from capf.store.certificate_rows import EndingRow
from capf.store.schema import AuditRow

LIMIT = 1000
"""The maximum number of events of one kind in an answer; the next answer has those that follow."""
KINDS = {
    "operation failed": "operation_failed",
    refusals.ACTION: "claim_refused",
    guessing.LOCKED: "guessing",
    guessing.EXHAUSTED: "guessing",
    "rollout stopped": "rollout_stopped",
    "rollout aborted": "rollout_aborted",
}
_CURSOR = re.compile(r"(\d{1,18})(?::(\d{1,18}):([0-9a-f]*):([0-9a-f]*))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of a reader: the last audit row, the last LSC reported as expiring, and the CAPF certificate."""

    audit_id: int = 0
    ends_reported: int = 0
    serial_number: str = ""
    capf_serial_number: str = ""

    def __str__(self) -> str:
        return f"{self.audit_id}:{self.ends_reported}:{self.serial_number}:{self.capf_serial_number}"


def read_cursor(connection: Connection, text: str) -> Cursor:
    """Parse an earlier answer's cursor; an empty one starts now, and reports only expiries of the past."""
    if not text:
        return Cursor(audit.last_id(connection))
    found = _CURSOR.fullmatch(text)
    if found is None:
        message = f"{text[:100]!r} is not a cursor; give that of an earlier answer, 0, or nothing"
        raise InvalidRequestError([Problem("after", text[:100], message)])
    number, ends_reported, serial_number, capf_serial_number = found.groups(default="")
    return Cursor(int(number), int(ends_reported or 0), serial_number, capf_serial_number)


def after(tx: Transaction, cursor: Cursor, days: int) -> tuple[list[dict[str, Any]], Cursor]:
    """Return the events after ``cursor`` and the next cursor. ``days``: how long before expiry an LSC is reported."""
    until = audit.last_id(tx.connection)
    rows = audit.of_actions(tx.connection, cursor.audit_id, until, list(KINDS), LIMIT)
    done = rows[-1].id if len(rows) == LIMIT else max(until, cursor.audit_id)
    found, cursor = [_happened(row) for row in rows], replace(cursor, audit_id=done)
    ahead = days * need.SECONDS_A_DAY
    reported = (cursor.ends_reported, cursor.serial_number)
    ending = certificate_rows.ending(tx.connection, reported, tx.now + ahead, ahead, LIMIT)
    if ending:
        last = ending[-1]
        cursor = replace(cursor, ends_reported=last.key, serial_number=last.serial_number)
    found += [_lsc_ends(row, tx.now) for row in ending]
    serial = f"{tx.context.authority.certificate.serial_number:x}" if tx.context.authority.usable else ""
    if tx.context.authority.usable and health.expires_soon(tx.context) and cursor.capf_serial_number != serial:
        found.append(_capf_ends(tx.context))
        cursor = replace(cursor, capf_serial_number=serial)
    return found, cursor


def _event(kind: str, at: int, device_name: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "at": moment.show(at), "device_name": device_name, "detail": detail}


def _happened(row: AuditRow) -> dict[str, Any]:
    detail = _detail(row)
    return _event(KINDS[row.action], row.at, row.device_name, {"audit_id": row.id, **detail})


def _detail(row: AuditRow) -> dict[str, Any]:
    """Return the detail of an audit row, or a note if it cannot be read."""
    try:
        detail = json.loads(row.detail) if row.detail else {}
    except ValueError:
        detail = None
    return detail if isinstance(detail, dict) else {"unreadable": "table audit: `capf audit verify` says more"}


def _lsc_ends(row: EndingRow, now: int) -> dict[str, Any]:
    kind = "lsc_expires" if row.not_after > now else "lsc_expired"
    expires = moment.show(row.not_after)
    detail = {"serial_number": row.serial_number, "expires": expires, "issuer": row.issuer}
    return _event(kind, now, row.device_name, detail)


def _capf_ends(context: Context) -> dict[str, Any]:
    certificate = context.authority.certificate
    expires = moment.show(int(certificate.not_valid_after_utc.timestamp()))
    detail = {"common_name": authority.common_name(certificate), "expires": expires}
    return _event("capf_certificate_expires", context.now, "", detail)
