# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit table: who did what when, chained so that no row can be changed or removed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, func, select

from capf.model import DamagedError, Fault
from capf.store.schema import AuditRow, audit, audit_head
from capf.store.statements import Query, Statement, rows_of

_HEAD = Query(itemgetter(0), select(audit_head.c.digest).with_for_update())
_NEW_HEAD = Statement(audit_head.update())
_INSERT = Statement(audit.insert())
NO_HEAD = Fault("table audit_head", "its row is missing, so that nothing can be recorded", "restore a backup")
_UNWRITTEN = "capf_unwritten_audit_rows"
_DETAIL = json.JSONEncoder(sort_keys=True, default=str)
_TEXT = json.JSONEncoder().encode


def begin(connection: Connection) -> None:
    """Begin to collect the audit rows of a transaction."""
    connection.info[_UNWRITTEN] = []


def record(connection: Connection, at: int, actor: str, action: str, device_name: str = "", /, **detail: Any) -> None:
    """Record an action, its time, its actor and its device; ``detail`` must not contain secrets.

    The row is written when the store ends the transaction of the action, so no action lacks its row.
    """
    connection.info[_UNWRITTEN].append(
        {
            "at": at,
            "actor": actor,
            "action": action,
            "device_name": device_name,
            "detail": _DETAIL.encode(detail) if detail else "",
        }
    )


def end(connection: Connection) -> None:
    """Write the audit rows of a transaction immediately before its commit.

    Each row carries a digest over itself and the row before it, so that a changed or removed row is detected.
    """
    rows = connection.info.pop(_UNWRITTEN)
    if not rows:
        return
    digest = _HEAD.first(connection, {})
    if digest is None:
        raise DamagedError(NO_HEAD)
    for row in rows:
        digest = row["digest"] = _digest(digest, row)
    _INSERT.run_many(connection, rows)
    _NEW_HEAD.run(connection, {"digest": digest})


def _digest(before: str, row: RowMapping | dict[str, Any]) -> str:
    texts = (_TEXT(row[name]) for name in ("actor", "action", "device_name", "detail"))
    text = f"[{_TEXT(before)}, {row['at']}, {', '.join(texts)}]"  # a list in JSON, put together in half the time
    return hashlib.sha256(text.encode()).hexdigest()


def last_id(connection: Connection) -> int:
    """Return the id of the last audit row, 0 if there is none."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())


def after(connection: Connection, identifier: int) -> Sequence[Row[int, str, str]]:
    """Return id, action and device name of the audit rows after one; ids only ever increase."""
    query = select(audit.c.id, audit.c.action, audit.c.device_name).where(audit.c.id > identifier)
    return connection.execute(query.order_by(audit.c.id)).all()


def of_actions(connection: Connection, since: int, until: int, actions: Sequence[str], limit: int) -> list[AuditRow]:
    """Return the first audit rows of these actions with ``since`` < id <= ``until``."""
    query = select(audit).where(audit.c.id > since, audit.c.id <= until, audit.c.action.in_(actions))
    return rows_of(connection, AuditRow._make, query.order_by(audit.c.id).limit(limit))


def details(connection: Connection, action: str) -> list[str]:
    """Return the details (JSON) of every act of this name."""
    return list(connection.execute(select(audit.c.detail).where(audit.c.action == action)).scalars())


def broken_row(connection: Connection) -> int | None:
    """Return the id of the first audit row that breaks the chain, None if the chain is intact.

    A chain that ends before its recorded head is broken at the row after the last one.
    """
    digest, last = "", 0
    for row in connection.execute(select(audit).order_by(audit.c.id)).mappings():
        last = row["id"]
        if row["digest"]:
            digest = _digest(digest, row)
        if row["digest"] != digest:
            return int(last)
    return None if head(connection) == digest else int(last) + 1


def head(connection: Connection) -> str:
    """Return the digest of the last audit row, which identifies a record.

    DamagedError if it is missing.
    """
    digest = connection.execute(select(audit_head.c.digest)).scalar()
    if digest is None:
        raise DamagedError(NO_HEAD)
    return str(digest)


def last_at(connection: Connection) -> int | None:
    """Return when the last audit row was recorded."""
    return connection.execute(select(audit.c.at).order_by(audit.c.id.desc()).limit(1)).scalar()
