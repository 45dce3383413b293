"""The audit table and the settings table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from capf.store.schema import audit, settings


@dataclass(frozen=True, slots=True)
class Act:
    """What was done, to which device; ``detail`` holds no secrets."""

    action: str
    device_name: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, at: int, actor: str, acts: Iterable[Act]) -> None:
    """Write the audit rows of an act in the act's own transaction: no row, no act."""
    rows = [
        {
            "at": at,
            "actor": actor,
            "action": act.action,
            "device_name": act.device_name,
            "detail": json.dumps(dict(act.detail), sort_keys=True, default=str) if act.detail else "",
        }
        for act in acts
    ]
    if rows:
        connection.execute(audit.insert(), rows)


def setting(connection: Connection, name: str) -> str | None:
    """Return a setting's text, None when it was never set."""
    return connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()


def all_settings(connection: Connection) -> dict[str, str]:
    """Return every setting."""
    return {row.name: row.value for row in connection.execute(select(settings))}


def put_setting(connection: Connection, name: str, value: str) -> None:
    """Set a setting."""
    changed = connection.execute(settings.update().where(settings.c.name == name).values(value=value))
    if changed.rowcount == 0:
        connection.execute(settings.insert().values(name=name, value=value))
