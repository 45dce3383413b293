# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements behind the events: audit rows after a mark, and certificates by their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select, tuple_

from capf.model import CertificateState
from capf.store.schema import AuditRow, audit, certificates
from capf.store.statements import rows_of


def last_audit_id(connection: Connection) -> int:
    """Return the id of the last audit row, 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())


def audit_rows(connection: Connection, after: int, until: int, actions: Sequence[str], limit: int) -> list[AuditRow]:
    """Return the first audit rows of these actions with ``after`` < id <= ``until``."""
    query = select(audit).where(audit.c.id > after, audit.c.id <= until, audit.c.action.in_(actions))
    return rows_of(connection, AuditRow._make, query.order_by(audit.c.id).limit(limit))


class EndingRow(NamedTuple):
    """An active certificate that expires; ``key`` is its position among the events."""

    key: int
    device_name: str
    serial_number: str
    not_after: int
    issuer: str


def ending(connection: Connection, after: tuple[int, str], until: int, ahead: int, limit: int) -> list[EndingRow]:
    """Return the first active certificates that end before ``until``, after (``key``, serial number) ``after``.

    A row's ``key`` is its certificate's end; for one that became active less than ``ahead`` seconds before its end, it
    is that much after it became active. So it is never below one that could be seen before.
    """
    known_at = certificates.c.changed_at + ahead
    key = case((certificates.c.not_after > known_at, certificates.c.not_after), else_=known_at)
    query = select(
        key.label("key"),
        *(certificates.c[name] for name in EndingRow._fields[1:]),
    ).where(
        certificates.c.state == CertificateState.ACTIVE,
        key < until,
        tuple_(key, certificates.c.serial_number) > tuple_(*after),
    )
    return rows_of(connection, EndingRow._make, query.order_by(key, certificates.c.serial_number).limit(limit))
