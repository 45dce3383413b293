# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces a database that a newer version has migrated with a copy that has this version's schema."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import MetaData, inspect, text

from capf.model import ConflictError
from capf.store import copying
from capf.store.engine import newest_schema, schema_of
from capf.store.schema import metadata

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)
_CLOSING_SECONDS, _PAUSE = 5.0, 0.1
"""How long the connections of a server that was just stopped may take to end, and the pause between two looks."""


def has_this_schema(url: str) -> bool:
    """Return whether the database at an SQLAlchemy URL has the schema of this version."""
    with copying.connected(url) as connection:
        return schema_of(connection) == newest_schema()


def tables(url: str) -> list[str]:
    """Return the names of all tables of a database."""
    with copying.connected(url) as connection:
        return sorted(inspect(connection).get_table_names())


def check_alone(url: str) -> None:
    """Raise ConflictError if others are connected to a database that can be shared."""
    if copying.sqlite_files(url):
        return
    until = time.monotonic() + _CLOSING_SECONDS
    while (others := _others(url)) and time.monotonic() < until:
        time.sleep(_PAUSE)
    if others:
        raise ConflictError(
            f"the database cannot be put back, because it has other connections: {others}; stop the other servers of"
            " the database, then run 'capf database put-back' again"
        )


def _others(url: str) -> int:
    with copying.connected(url) as connection:
        return int(connection.execute(text(_OTHERS)).scalar_one())


def replace(url: str, copy: Path, before: Collection[str]) -> None:
    """Replace all that a database has with a copy; ``before`` are the tables that it had when the copy was made."""
    files = copying.sqlite_files(url)
    if not files:
        _drop_new(url, before)
        copying.from_file(copy, url, ())
        return
    fresh = files[0].with_name(f"{files[0].name}.fresh")
    shutil.copyfile(copy, fresh)
    fresh.chmod(0o600)
    for left in files[1:]:
        left.unlink(missing_ok=True)
    fresh.replace(files[0])


def _drop_new(url: str, before: Collection[str]) -> None:
    """Drop the server's tables, and those that were made since."""
    own = {*metadata.tables, "alembic_version"}
    with copying.connected(url) as connection:
        found = MetaData()
        found.reflect(connection, only=lambda name, _metadata: name in own or name not in before)
        found.drop_all(connection)
        connection.commit()
