# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a backup, even while the server runs, then reads it back and checks it as a restore does."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from capf.administration.backup import archive, inspection, sealing, staging
from capf.administration.backup.archive import DATABASE
from capf.certificates.keystore import SECRET, UNFINISHED
from capf.model import CapfError, ConflictError, InvalidRequestError, StoreUnavailableError, words_of
from capf.node.node_settings import NodeSettings
from capf.registry.transaction import SERVER
from capf.store import audit, copying
from capf.store.engine import Store


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """An archive that was written and read back: its files, its size, and its SHA-256 in hex."""

    files: int
    size: int
    sha256: str


def make(settings: NodeSettings, target: BinaryIO, passphrase: str | None) -> MadeBackup:
    """Write an archive to an empty file that is also open for reading. Without a passphrase, it is a plain archive.

    It contains a consistent snapshot of the database. CapfError if the archive cannot be made or could not be restored.
    """
    directory = settings.state_directory
    try:
        with staging.directory_in(directory) as work:
            copy = work / DATABASE
            copying.to_file(settings.database, copy)
            archive.write(target, _files(settings, copy), datetime.now(UTC).isoformat(timespec="seconds"), passphrase)
            target.flush()
            os.fsync(target.fileno())
        target.seek(0)
        pieces = sealing.opened(target, passphrase)
        with staging.directory_in(directory) as work:
            manifest = inspection.unpack(pieces, work)
        target.seek(0)
        digest = hashlib.file_digest(cast(BufferedReader, target), "sha256").hexdigest()
        return MadeBackup(len(manifest.files), target.tell(), digest)
    except (StoreUnavailableError, InvalidRequestError):
        raise
    except (CapfError, OSError) as error:
        raise CapfError(f"no backup can be made: {words_of(error)}") from error


def spool(settings: NodeSettings, passphrase: str | None) -> tuple[BinaryIO, MadeBackup]:
    """Return an archive in an unnamed file of the state directory, which disappears when it is closed."""
    file = tempfile.TemporaryFile(dir=settings.state_directory)  # noqa: SIM115 - the caller closes it
    try:
        return file, make(settings, file, passphrase)
    except BaseException:
        file.close()
        raise


def write(settings: NodeSettings, target: Path, passphrase: str | None) -> MadeBackup:
    """Write an archive to a new file of mode 0600, which gets its name when it is complete.

    ConflictError if the file already exists. If anything fails, there is neither a file nor an audit row.
    """
    with _new_file(target) as file:
        made = make(settings, file, passphrase)
    try:
        _record(settings.database, encrypted=passphrase is not None)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return made


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """Yield a file next to ``target`` that is renamed to ``target`` at the end, or removed after an error."""
    unfinished = target.with_name(f".{target.name}-{os.getpid()}{UNFINISHED}")
    if os.path.lexists(target):
        raise ConflictError(f"{target} already exists")
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, SECRET)
    except OSError as error:
        raise CapfError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
        _name(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _name(unfinished: Path, target: Path) -> None:
    """Give a file its name unless another file has it meanwhile."""
    try:
        os.link(unfinished, target)
    except FileExistsError:
        raise ConflictError(f"{target} already exists") from None
    except OSError:  # a file system without links
        unfinished.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _record(database: str, *, encrypted: bool) -> None:
    store = Store(database)
    try:
        store.write(lambda c: audit.record(c, int(time.time()), SERVER, "back up", encrypted=encrypted))
    finally:
        store.close()


def _files(settings: NodeSettings, copy: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file to archive with its name there: the copied database, then the files of the state directory."""
    yield DATABASE, copy
    directory, database = settings.state_directory, {path.resolve() for path in copying.sqlite_files(settings.database)}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not archive.passes(PurePosixPath(name)) and path.is_file() and path.resolve() not in database:
            yield name, path
