"""Backing up a node's state and restoring it (R20): one archive with keys, certificates, traces and the database."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
import time
from contextlib import closing
from pathlib import Path

from capf.config import Settings
from capf.model import CapfError, ConflictError
from capf.state import StateDirectory
from capf.store import journal
from capf.store.engine import Store

_DATABASE = "capf.db"
_PASSING = {_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", "lock", "capf.pid", "capf.log"}
_SQLITE = "sqlite:///"


def write(settings: Settings, target: Path) -> int:
    """Write the archive, mode 0600, while the server may be running; returns how many files it holds.

    The database is copied as it is at one moment. ConflictError when the target exists already.
    """
    database = _sqlite_file(settings)
    _record(settings, "back up")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConflictError(f"{target} is there already") from None
    with tempfile.TemporaryDirectory() as work, os.fdopen(descriptor, "wb") as file:
        copy = Path(work) / _DATABASE
        _copy(database, copy)
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            archive.add(copy, _DATABASE)
            for path in _files(settings.state_directory):
                archive.add(path, path.relative_to(settings.state_directory).as_posix(), recursive=False)
            count = len(archive.getmembers())
        file.flush()
        os.fsync(file.fileno())
    return count


def _sqlite_file(settings: Settings) -> Path:
    if not settings.database.startswith(_SQLITE):
        raise CapfError("the database is PostgreSQL's: back it up with pg_dump, and copy the state directory beside it")
    return Path(settings.database.removeprefix(_SQLITE))


def _record(settings: Settings, action: str) -> None:
    """Leave an audit row."""
    store = Store(settings.database)
    store.write(lambda connection: journal.record(connection, int(time.time()), "capf", [journal.Act(action)]))
    store.close()


def _copy(database: Path, copy: Path) -> None:
    """Copy a database that may be in use, as it is at one moment."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _files(directory: Path) -> list[Path]:
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return [path for path in found if path.name not in _PASSING]


def restore(settings: Settings, source: Path) -> str:
    """Restore an archive into the state directory, which must not hold a server's state; returns what it holds.

    Operations that were in a session when the backup was made are given back when the server starts.
    """
    directory = settings.state_directory
    if StateDirectory(directory).capf_key.exists():
        raise ConflictError(f"{directory} already holds a CAPF server's state")
    try:
        with tarfile.open(source) as archive:
            names = archive.getnames()
            if not {_DATABASE, "capf.key", "strings.key"} <= set(names):
                raise CapfError(f"{source} is no backup of a CAPF server")
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.extractall(directory, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise CapfError(f"{source} cannot be restored: {error}") from error
    _record(settings, "restore")
    return f"{len(names)} files"
