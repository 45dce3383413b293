"""Backing up a node's state and restoring it (R20): one archive with keys, certificates, traces and the database.

The database is an SQLite file in the archive whatever it is in the site, so that an archive can also move a site from
SQLite to PostgreSQL and back.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from capf import trace_files
from capf.config import Settings
from capf.keystore import UNFINISHED
from capf.model import CapfError, ConflictError
from capf.state import StateDirectory
from capf.store import copying, journal
from capf.store.engine import Store

_DATABASE = "capf.db"
_PASSING = {_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", "lock", "capf.pid"}
_KEY = "capf.key"


def archive(settings: Settings, target: BinaryIO) -> int:
    """Write the archive to a file, while the server may be running; returns how many files it holds.

    The database is copied as it is at one moment.
    """
    with tempfile.TemporaryDirectory(dir=settings.state_directory, prefix=".backup-") as work:
        copy = Path(work) / _DATABASE
        copying.to_file(settings.database, copy)
        with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as tar:
            tar.add(copy, _DATABASE)
            for path in _files(settings.state_directory):
                tar.add(path, path.relative_to(settings.state_directory).as_posix(), recursive=False)
            return len(tar.getmembers())


def write(settings: Settings, target: Path) -> int:
    """Write the archive to a new file, mode 0600; returns how many files it holds.

    ConflictError when the file exists already.
    """
    _record(settings, "back up")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConflictError(f"{target} is there already") from None
    with os.fdopen(descriptor, "wb") as file:
        count = archive(settings, file)
        file.flush()
        os.fsync(file.fileno())
    return count


def _record(settings: Settings, action: str) -> None:
    """Leave an audit row; a restored copy gives back the operations that were in a session."""

    def job(connection: Connection) -> None:
        given_back = {"operations": copying.give_back(connection)} if action == "restore" else {}
        journal.record(connection, int(time.time()), "capf", [journal.Act(action, detail=given_back)])

    store = Store(settings.database)
    store.write(job)
    store.close()


def _files(directory: Path) -> list[Path]:
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return [path for path in found if not _passes(path.relative_to(directory))]


def _passes(path: Path) -> bool:
    """True for what belongs to a moment of this node, not to its state."""
    passing = path.name in _PASSING or path.name.startswith(trace_files.NAME)
    return passing or path.name.endswith(UNFINISHED) or path.parts[0].startswith(".")


def is_there(settings: Settings) -> bool:
    """Whether the state directory holds a server's state."""
    return StateDirectory(settings.state_directory).capf_key.exists()


def restore(settings: Settings, source: Path, *, dry_run: bool = False) -> str:
    """Restore an archive into a state directory and a database that hold nothing yet; returns what it holds.

    The key comes last: a restore that is cut short can be run again. With ``dry_run`` the archive is only read.
    """
    if is_there(settings):
        raise ConflictError(f"{settings.state_directory} already holds a CAPF server's state")
    try:
        with tarfile.open(source) as tar:
            names = tar.getnames()
            if not {_DATABASE, _KEY, "strings.key"} <= set(names):
                raise CapfError(f"{source} is no backup of a CAPF server")
            if not dry_run:
                _extract(tar, settings)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CapfError(f"{source} cannot be restored: {error}") from error
    return f"{len(names)} files"


def _extract(tar: tarfile.TarFile, settings: Settings) -> None:
    directory = settings.state_directory
    with tempfile.TemporaryDirectory() as work:
        tar.extractall(work, [tar.getmember(name) for name in (_DATABASE, _KEY)], filter="data")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        rest = [member for member in tar.getmembers() if member.name not in (_DATABASE, _KEY)]
        tar.extractall(directory, rest, filter="data")
        copying.from_file(Path(work) / _DATABASE, settings.database)
        _record(settings, "restore")
        tar.extract(_KEY, directory, filter="data")
