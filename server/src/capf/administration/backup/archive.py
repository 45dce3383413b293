# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of an archive: a gzipped tar of the node's files, the last of which is a manifest of all others."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from capf import __version__
from capf.administration.backup import sealing
from capf.administration.backup.sealing import Pieces
from capf.certificates.keystore import SECRET, UNFINISHED
from capf.model import CapfError
from capf.node import trace_files

DATABASE, KEY, MANIFEST = "capf.db", "capf.key", "manifest.json"
_NEEDED = {DATABASE, KEY, "strings.key", "administration.key", "administration.crt"}
_PASSING = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock", "capf.pid", MANIFEST}
_PRODUCT, _FORMAT = "ucm.capf", 1
_PIECE = 1 << 16
_MANIFEST_BYTES = 1 << 26
_NO_MANIFEST = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""The errors of reading an invalid manifest."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file of an archive: its bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The server that made an archive, the time (UTC), and the files by name."""

    version: str
    made_at: str
    files: Mapping[str, Held]


def passes(path: PurePosixPath) -> bool:
    """Return whether a file in the state directory is only temporary, not part of the node's state."""
    passing = path.name in _PASSING or path.name.startswith(trace_files.NAME)
    return passing or path.name.endswith(UNFINISHED) or path.parts[0].startswith(".")


def write(
    target: BinaryIO, files: Iterable[tuple[str, Path]], made_at: str, passphrase: str | None, cost: int = sealing.COST
) -> None:
    """Write an archive of files, by their names in it; their size does not matter."""
    outer = sealing.sealed(target, passphrase, cost)
    with (
        gzip.GzipFile("", "wb", 6, outer, mtime=0) as packed,
        tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        held = {name: _add(tar, name, path) for name, path in files}
        given = {"product": _PRODUCT, "format": _FORMAT, "version": __version__, "made_at": made_at}
        given["files"] = {name: asdict(file) for name, file in held.items()}
        data = json.dumps(given, indent=1).encode()
        tar.addfile(_member(MANIFEST, len(data), SECRET), io.BytesIO(data))
    outer.finish()


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode & 0o777
    return member


def _add(tar: tarfile.TarFile, name: str, path: Path) -> Held:
    with path.open("rb") as handle:
        found = os.fstat(handle.fileno())
        counted = _Counted(handle)
        tar.addfile(_member(name, found.st_size, found.st_mode), cast(IO[bytes], counted))
    return counted.held


class _Counted:
    """A file that is read to its end; ``held`` describes what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._digest, self._size = source, hashlib.sha256(), 0

    def read(self, most: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._source.read(most)
        self._digest.update(data)
        self._size += len(data)
        return data

    @property
    def held(self) -> Held:
        """Size and digest of the bytes that were read so far."""
        return Held(self._size, self._digest.hexdigest())


class _Stream(io.RawIOBase):
    """An iterator of pieces as a file that can be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the rest of the current piece, as far as it fits."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


@contextmanager
def _as_refusal() -> Iterator[None]:
    """Turn every error of unpacking into a CapfError."""
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, *_NO_MANIFEST) as error:
        raise CapfError("it is damaged: its content cannot be unpacked") from error


def unpack(pieces: Pieces, directory: Path) -> Manifest:
    """Unpack an archive into an empty directory, which the caller removes.

    The archive is read to its end. CapfError if it is damaged, or does not match its manifest.
    """
    with _as_refusal(), gzip.GzipFile(fileobj=io.BufferedReader(_Stream(pieces()))) as packed:
        found = _unpack(cast(IO[bytes], packed), directory)
        _read_to_the_end(packed)
        return _compared(directory, found)


def _read_to_the_end(packed: gzip.GzipFile) -> None:
    """Read the rest, so that gzip verifies its checksum; a tar ends with zeros."""
    while rest := packed.read(_PIECE):
        if rest.strip(b"\0"):
            raise CapfError("it has data after its end")


def _unpack(packed: IO[bytes], directory: Path) -> dict[str, Held]:
    found: dict[str, Held] = {}
    with tarfile.open(fileobj=packed, mode="r|", bufsize=tarfile.RECORDSIZE) as tar:
        for member in tar:
            _check(member, found)
            content = _Counted(cast(IO[bytes], tar.extractfile(member)))
            _write(content, directory / member.name, member.mode)
            found[member.name] = content.held
    return found


def _check(member: tarfile.TarInfo, found: Mapping[str, Held]) -> None:
    """Raise CapfError for an entry that is never in a valid archive: a link, an outside path, or a duplicate file."""
    name, path = member.name, PurePosixPath(member.name)
    if MANIFEST in found or name in found:
        raise CapfError(f"it contains {name!r} after its manifest, or more than once")
    is_ours = name in (DATABASE, MANIFEST) or (path.parts and not passes(path))
    if not member.isreg() or member.issparse() or path.is_absolute() or ".." in path.parts or str(path) != name:
        is_ours = False
    if not is_ours or not name.isprintable():
        raise CapfError(f"it is not a backup of a CAPF server: it contains {name!r}")


def _write(content: _Counted, target: Path, mode: int) -> None:
    """Write one file that only its owner can write to.

    The extraction filters of tarfile are not available everywhere: Debian 12 has Python 3.11.2.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, SECRET)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(cast(IO[bytes], content), file, _PIECE)
        os.fchmod(descriptor, mode & 0o755 | SECRET)


def _compared(directory: Path, found: dict[str, Held]) -> Manifest:
    """Return the manifest; CapfError if it does not match the files that were found."""
    held = found.pop(MANIFEST, None)
    if held is None or held.size > _MANIFEST_BYTES:
        raise CapfError("it is not a backup of a CAPF server: it has no manifest at its end")
    path = directory / MANIFEST
    given = json.loads(path.read_bytes())
    path.unlink()
    if (given["product"], given["format"]) != (_PRODUCT, _FORMAT):
        raise CapfError(f"its format is {given['product']} {given['format']}; this server reads {_PRODUCT} {_FORMAT}")
    wanted = {name: Held(**file) for name, file in given["files"].items()}
    faults = {
        "lacks": sorted((wanted.keys() | _NEEDED) - found.keys()),
        "contains, in addition to its manifest,": sorted(found.keys() - wanted.keys()),
        "contains a different version of": sorted(
            name for name in wanted.keys() & found.keys() if wanted[name] != found[name]
        ),
    }
    for fault, names in faults.items():
        if names:
            raise CapfError(f"it {fault} {', '.join(names[:5])}{' and more' if names[5:] else ''}")
    return Manifest(given["version"], given["made_at"], wanted)
