"""Backing up a node's state and restoring it (R20): one archive with keys, certificates, traces and the database.

The database is an SQLite file in the archive whatever it is in the site, so that an archive can also move a site from
SQLite to PostgreSQL and back.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from sqlalchemy import Connection

from capf import trace_files
from capf.config import Settings
from capf.keystore import SECRET, UNFINISHED, write_whole
from capf.model import CapfError, ConflictError
from capf.state import StateDirectory
from capf.store import copying, journal
from capf.store.engine import Store

_DATABASE = "capf.db"
_PASSING = {_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", "lock", "capf.pid"}
_KEY = "capf.key"
_WORK = ".backup"
_TRIES = ".restoring"
"""Names the records that tries to restore may have left in the database, each by the digest of its last audit row."""


def archive(settings: Settings, target: BinaryIO) -> int:
    """Write the archive to a file, while the server may be running; returns how many files it holds.

    The database is copied as it is at one moment. CapfError when the archive cannot be made.
    """
    directory = settings.state_directory
    try:
        with tempfile.TemporaryDirectory(dir=directory, prefix=f"{_WORK}-{os.getpid()}-") as work:
            copy = Path(work) / _DATABASE
            copying.to_file(settings.database, copy)
            with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6, dereference=True) as tar:
                tar.add(copy, _DATABASE)
                for path in _files(settings):
                    tar.add(path, path.relative_to(directory).as_posix(), recursive=False)
                return len(tar.getmembers())
    except OSError as error:
        raise CapfError(f"no backup can be made: {error}") from error


def sweep(directory: Path) -> None:
    """Remove what backups that were killed have left in the state directory."""
    for left in directory.glob(f"{_WORK}-*"):
        process = left.name.split("-")[1]
        if process == str(os.getpid()) or not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)


def write(settings: Settings, target: Path) -> int:
    """Write the archive to a new file, mode 0600; returns how many files it holds.

    ConflictError when the file exists already. Where anything fails there is neither a file nor an audit row.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET)
    except FileExistsError:
        raise ConflictError(f"{target} is there already") from None
    except OSError as error:
        raise CapfError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            count = archive(settings, file)
            file.flush()
            os.fsync(file.fileno())
        _record(settings.database, "back up")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return count


def _record(database: str, action: str) -> str:
    """Leave an audit row; a restored copy gives back the operations that were in a session. Returns its digest."""

    def job(connection: Connection) -> None:
        given_back = {"operations": copying.give_back(connection)} if action == "restore" else {}
        journal.record(connection, int(time.time()), "capf", [journal.Act(action, detail=given_back)])

    store = Store(database)
    try:
        store.write(job)
        return store.read(journal.head)
    finally:
        store.close()


def _files(settings: Settings) -> list[Path]:
    """Return what is archived as it lies there, the database therefore not."""
    directory, database = settings.state_directory, {path.resolve() for path in copying.sqlite_files(settings.database)}
    found = (path for path in sorted(directory.rglob("*")) if path.is_file() and path.resolve() not in database)
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

    The key comes last: a restore that is cut short can be run again, and replaces what it has left itself. With
    ``dry_run`` the archive is only read.
    """
    if is_there(settings):
        raise ConflictError(f"{settings.state_directory} already holds a CAPF server's state")
    try:
        with tarfile.open(source) as tar:
            _check(tar, source)
            names = tar.getnames()
            if not dry_run:
                _extract(tar, settings)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CapfError(f"{source} cannot be restored: {error}") from error
    return f"{len(names)} files"


def _check(tar: tarfile.TarFile, source: Path) -> None:
    """CapfError where the archive is not one of ours, or holds what would lie elsewhere or is no file."""
    if not {_DATABASE, _KEY, "strings.key"} <= set(tar.getnames()):
        raise CapfError(f"{source} is no backup of a CAPF server")
    for member in tar.getmembers():
        path = PurePosixPath(member.name)
        if not member.isfile() or path.is_absolute() or ".." in path.parts:
            raise CapfError(f"{source} is no backup of a CAPF server: it holds {member.name}")


def _extract(tar: tarfile.TarFile, settings: Settings) -> None:
    directory = settings.state_directory
    with tempfile.TemporaryDirectory() as work:
        copy, key = Path(work) / _DATABASE, Path(work) / _KEY
        _unpack(tar, _DATABASE, copy)
        _unpack(tar, _KEY, key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in tar.getnames():
            if name not in (_DATABASE, _KEY):
                _unpack(tar, name, directory / name)
        tries = directory / _TRIES
        earlier = tries.read_text().split() if tries.exists() else []
        restored = _record(f"{copying.SQLITE}{copy}", "restore")
        write_whole(tries, " ".join([*earlier, restored]).encode(), SECRET)
        copying.from_file(copy, settings.database, earlier)
        write_whole(directory / _KEY, key.read_bytes(), SECRET)
        tries.unlink()


def _unpack(tar: tarfile.TarFile, name: str, target: Path) -> None:
    """Write one file of the archive, which others cannot write to.

    The filters of tarfile itself are not in every Python of a node: Debian 12 has 3.11.2, which is without.
    """
    member = tar.getmember(name)
    content = cast(IO[bytes], tar.extractfile(member))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET)
    with content, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file)
        os.fchmod(descriptor, member.mode & 0o755 | SECRET)
