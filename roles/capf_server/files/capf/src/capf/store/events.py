"""The statements behind the events: audit rows after a mark, and certificates by their end."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, tuple_

from capf.model import CertificateState
from capf.store.rows import Row
from capf.store.schema import audit, certificates


def last_audit_id(connection: Connection) -> int:
    """Return the id of the last audit row, 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())


def audit_rows(connection: Connection, after: int, until: int, actions: Sequence[str], limit: int) -> list[Row]:
    """Return the first audit rows of these actions with ``after`` < id <= ``until``."""
    query = select(audit).where(audit.c.id > after, audit.c.id <= until, audit.c.action.in_(actions))
    return list(connection.execute(query.order_by(audit.c.id).limit(limit)).mappings())


def ending(connection: Connection, after: tuple[int, str], until: int, limit: int) -> list[Row]:
    """Return the first active certificates that end by ``until``, after (end, serial number) ``after``."""
    key = tuple_(certificates.c.not_after, certificates.c.serial_number)
    query = select(
        certificates.c.device_name, certificates.c.serial_number, certificates.c.not_after, certificates.c.issuer
    ).where(certificates.c.state == CertificateState.ACTIVE, certificates.c.not_after <= until, key > tuple_(*after))
    ordered = query.order_by(certificates.c.not_after, certificates.c.serial_number).limit(limit)
    return list(connection.execute(ordered).mappings())
