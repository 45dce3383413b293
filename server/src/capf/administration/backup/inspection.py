# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks that an archive contains a complete node that a server can run from (R20)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from capf.administration.backup import archive
from capf.administration.backup.archive import DATABASE, Manifest
from capf.administration.backup.sealing import Pieces
from capf.model import CapfError
from capf.node import fitting
from capf.registry import account
from capf.store import audit, copying, driver_errors, named_values
from capf.store.engine import Store

_SHOWN = 5


def unpack(pieces: Pieces, directory: Path) -> Manifest:
    """Unpack an archive into an empty directory and check all of it; CapfError if anything is wrong.

    The database there is migrated to this server's schema.
    """
    manifest = archive.unpack(pieces, directory)
    check(directory)
    return manifest


def check(directory: Path) -> None:
    """Raise CapfError if the database or the keys are damaged, or do not belong together."""
    database = directory / DATABASE
    _check_integrity(database)
    try:
        store = Store(f"{copying.SQLITE}{database}")
        try:
            found = store.read(lambda connection: _faults(directory, connection))
        finally:
            store.close()
    except SQLAlchemyError as error:
        raise CapfError("its database is not that of a CAPF server: it lacks tables or columns") from error
    if found:
        raise CapfError("; ".join(found[:_SHOWN]))


def _faults(directory: Path, connection: Connection) -> list[str]:
    copying.check_schema(connection)
    found = fitting.faults(directory, connection)
    broken = audit.broken_row(connection)
    if broken is not None:
        found.append(f"the audit table was changed: row {broken} does not match the rows before it")
    if account.faults(named_values.every(connection)):
        found.append("its database has no administrator")
    return found


def _check_integrity(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            (said, *_more) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise CapfError(f"its database is damaged: {driver_errors.words(error)}") from error
    if said != "ok":
        raise CapfError("its database is damaged: it fails SQLite's integrity check")
    if orphan is not None:
        raise CapfError(f"its database is damaged: a row of {orphan[0]} refers to a row that does not exist")
