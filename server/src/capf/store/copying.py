# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies a consistent snapshot of a database into an SQLite file, and such a file back into an empty database."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Table, create_engine, delete, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from capf.model import ConflictError, StoreUnavailableError
from capf.store import audit, driver_errors, rows
from capf.store.engine import Store
from capf.store.schema import metadata, operations, phones, settings

SQLITE = "sqlite:///"
_BATCH = 1000
_PARTS = ("", "-wal", "-shm")
_UNFINISHED = ".restore"


def sqlite_files(url: str) -> list[Path]:
    """Return the path of an SQLite database and of its temporary files; nothing for another kind of database."""
    if not url.startswith(SQLITE):
        return []
    path = Path(url.removeprefix(SQLITE))
    return [path.with_name(f"{path.name}{unfinished}{part}") for unfinished in ("", _UNFINISHED) for part in _PARTS]


def check_schema(connection: Connection) -> None:
    """Read from every table; SQLAlchemyError if a table or a column is missing."""
    for table in metadata.sorted_tables:
        connection.execute(select(table).limit(0))


def to_file(url: str, target: Path) -> None:
    """Copy the database at an SQLAlchemy URL into a new SQLite file; the database may be in use."""
    if url.startswith(SQLITE):
        source = Path(url.removeprefix(SQLITE)).absolute().as_uri()
        try:
            with (
                closing(sqlite3.connect(f"{source}?mode=rw", uri=True)) as given,
                closing(sqlite3.connect(target)) as copy,
            ):
                given.backup(copy)
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"the database cannot be copied: {driver_errors.words(error)}") from error
        return
    source_store, copy_store = Store(url), Store(f"{SQLITE}{target}")
    try:
        source_store.snapshot(lambda given: copy_store.write(lambda copy: _copy_tables(given, copy)))
    finally:
        source_store.close()
        copy_store.close()


def check_empty(url: str, own: Collection[str]) -> None:
    """Raise ConflictError if ``from_file`` would refuse the database at an SQLAlchemy URL; change nothing."""
    files = sqlite_files(url)
    if files:
        _check_no_file(files[0], url, own)
        return
    with connected(url) as connection:
        if inspect(connection).has_table(settings.name):
            _check_no_rows(connection, own)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Yield a connection to the database at an SQLAlchemy URL, whatever its schema is; StoreUnavailableError."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise StoreUnavailableError(f"the database cannot be opened: {driver_errors.words(error)}") from error
    finally:
        engine.dispose()


def _check_no_file(path: Path, url: str, own: Collection[str]) -> None:
    if path.exists() and not (own and _head(url) in own):
        raise ConflictError(f"{path} already exists")


def _check_no_rows(connection: Connection, own: Collection[str]) -> None:
    for table in () if audit.head(connection) in own else (phones, settings):
        if connection.execute(select(func.count()).select_from(table)).scalar_one():
            raise ConflictError(f"the database is not empty: it has {table.name}")


def from_file(source: Path, url: str, own: Collection[str]) -> None:
    """Copy an SQLite file into the database at an SQLAlchemy URL; ConflictError if that is not empty.

    The remains of an interrupted copy are replaced: ``own`` are the audit digests that identify them. A file of an
    earlier version is migrated first.
    """
    files = sqlite_files(url)
    if not files:
        _copy_file(source, url, own)
        return
    path, unfinished = files[0], files[len(_PARTS)]
    _check_no_file(path, url, own)
    for left in files[1:]:
        left.unlink(missing_ok=True)
    _copy_file(source, f"{SQLITE}{unfinished}", own)
    unfinished.replace(path)


def _copy_file(source: Path, url: str, own: Collection[str]) -> None:
    file_store, store = Store(f"{SQLITE}{source}"), Store(url)
    try:
        file_store.snapshot(lambda given: store.write(lambda target: _copy_into_empty(given, target, own)))
    finally:
        file_store.close()
        store.close()


def _head(url: str) -> str:
    store = Store(url)
    try:
        return store.read(audit.head)
    finally:
        store.close()


def _copy_into_empty(given: Connection, target: Connection, own: Collection[str]) -> None:
    _check_no_rows(target, own)
    _copy_tables(given, target)
    if target.dialect.name == "postgresql":
        for table in metadata.sorted_tables:
            _set_sequence(target, table)


def _copy_tables(given: Connection, target: Connection) -> None:
    """Copy every row of every table, replacing the rows that the schema itself has inserted."""
    for table in reversed(metadata.sorted_tables):
        target.execute(delete(table))
    for table in metadata.sorted_tables:
        found = given.execute(select(table).execution_options(yield_per=_BATCH)).mappings()
        for batch in found.partitions(_BATCH):
            target.execute(table.insert(), [dict(row) for row in batch])


def _set_sequence(connection: Connection, table: Table) -> None:
    """Make the sequences of the database continue after the highest number that was copied."""
    column = table.autoincrement_column
    if column is None:
        return
    sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
    highest = connection.execute(select(func.max(column))).scalar()
    if sequence is not None and highest is not None:
        connection.execute(text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest})


def give_back(connection: Connection) -> int:
    """Release every operation that was in a session when the copy was made: those sessions have ended."""
    held = connection.execute(select(operations.c.holder).where(operations.c.holder != "").distinct()).scalars().all()
    return sum(rows.release(connection, holder) for holder in held)
