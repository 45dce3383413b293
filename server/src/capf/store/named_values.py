# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings table: texts by name, such as parameters, the account and heartbeats."""

from __future__ import annotations

from sqlalchemy import Connection, select

from capf.store.schema import settings


def get(connection: Connection, name: str) -> str | None:
    """Return a value's text, None if it was never set."""
    return connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()


def every(connection: Connection) -> dict[str, str]:
    """Return the text of every value by its name."""
    return {row.name: row.value for row in connection.execute(select(settings))}


def put(connection: Connection, name: str, value: str) -> None:
    """Set a value."""
    changed = connection.execute(settings.update().where(settings.c.name == name).values(value=value))
    if changed.rowcount == 0:
        connection.execute(settings.insert().values(name=name, value=value))
