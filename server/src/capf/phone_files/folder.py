# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of the files that phones fetch; it knows these files by name and nothing else on the disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cryptography import x509

from capf.certificates import ctl, envelope
from capf.model import DEVICE_NAME, CapfError, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.phone_files import signed_files

CONFIGURATION_SUFFIX = ".cnf.xml"
DEFAULT_CONFIGURATION = f"XMLDefault{CONFIGURATION_SUFFIX}"
_CAPF_CERTIFICATE = re.compile(r"(?:CAPF-)?[0-9a-f]{8}\.0")
_NAMES_ALLOWED = (
    f"{ctl.FILE_NAME}, CAPF-<8 hex digits>.0, <8 hex digits>.0, <device name>{CONFIGURATION_SUFFIX} or"
    f" {DEFAULT_CONFIGURATION}, and <name>{envelope.SUFFIX} for all but the first"
)
_MAXIMUM_BYTES = 1_000_000
_FOR_EVERYBODY = 0o644


def _is_ctl_file(data: bytes) -> None:
    ctl.read(data).signer()


def _is_certificate(data: bytes) -> None:
    x509.load_pem_x509_certificate(data)


def _is_configuration(_unused: bytes) -> None:
    """Accept any content: a site's own file may be encrypted."""


def _is_signed(name: str, data: bytes) -> None:
    content = _check_of(name.removesuffix(envelope.SUFFIX))
    if content is not None:
        content(signed_files.check(name, data))


def _check_of(name: str) -> Callable[[bytes], None] | None:
    """Return the check for the content of a file with this name; None for a name that phones never request."""
    plain = name.removesuffix(envelope.SUFFIX)
    if plain != name:
        return partial(_is_signed, name) if signed_files.has_signed_form(plain) and _check_of(plain) else None
    if name == ctl.FILE_NAME:
        return _is_ctl_file
    if _CAPF_CERTIFICATE.fullmatch(name):
        return _is_certificate
    if name == DEFAULT_CONFIGURATION:
        return _is_configuration
    if name.endswith(CONFIGURATION_SUFFIX) and DEVICE_NAME.fullmatch(name.removesuffix(CONFIGURATION_SUFFIX)):
        return _is_configuration
    return None


def digest(data: bytes) -> str:
    """Return the digest by which nodes compare files."""
    return hashlib.sha256(data).hexdigest()


class Folder:
    """Files by name; a write replaces a file atomically. ``path`` is created at the first write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        """Return a file that phones may request, None if it does not exist or is a directory."""
        if _check_of(name) is None:
            return None
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files whose names and contents were checked; DamagedError if a directory is in the way."""
        self._path.mkdir(mode=0o755, exist_ok=True)
        for name, data in files.items():
            unfinished = self._path / f".{name}.new"
            unfinished.write_bytes(data)
            unfinished.chmod(_FOR_EVERYBODY)
            try:
                unfinished.replace(self._path / name)
            except IsADirectoryError:
                unfinished.unlink()
                fault = Fault(str(self._path / name), "it is a directory where a file belongs", "remove it")
                raise DamagedError(fault) from None

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        if _check_of(name) is not None:
            (self._path / name).unlink(missing_ok=True)

    def different(self, digests: Mapping[str, str]) -> list[str]:
        """Return the names of the files that are missing or differ from ``digests``."""
        return [name for name, wanted in digests.items() if (held := self.read(name)) is None or digest(held) != wanted]


def check(files: Mapping[str, bytes]) -> None:
    """Raise InvalidRequestError for names that phones never request and for content that does not match its name."""
    problems = []
    for name, data in files.items():
        content = _check_of(name)
        if content is None:
            problems.append(not_allowed(f"files.{name}", name, _NAMES_ALLOWED))
        elif len(data) > (most := _most_bytes(name)):
            problems.append(not_allowed(f"files.{name}", f"{len(data)} bytes", f"at most {most} bytes"))
        else:
            problems += _content_problem(name, content, data)
    if problems:
        raise InvalidRequestError(problems)


def _most_bytes(name: str) -> int:
    return _MAXIMUM_BYTES + (envelope.MAXIMUM_HEADER_BYTES if name.endswith(envelope.SUFFIX) else 0)


def _content_problem(name: str, content: Callable[[bytes], None], data: bytes) -> list[Problem]:
    try:
        content(data)
    except (CapfError, ValueError) as error:
        why = f": {error}" if isinstance(error, CapfError) else ""
        message = f"the content does not match the name {name}{why}; send the original file"
        return [Problem(f"files.{name}", f"{len(data)} bytes", message)]
    return []
