# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recognisable secrets: the test run fails if one of them is in a file that should not contain it (P13)."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.requesting import PASSWORD, token

STRING = "9081726354"
"""The authentication string of tests."""
LOGIN = token()
_HANDED_IN: dict[str, set[str]] = {
    PASSWORD: {"password", "play.json", "extra-vars.json", "variables.yml"},
    STRING: {"phones.csv", "play.json", "capf.sqlite3"},
    LOGIN: set(),
}
"""By secret: the files with which tests pass it in."""
_ASKED_FOR = {(STRING, "report.csv")}
"""The files that contain secrets intentionally; only their owner can read them."""
_GZIP = b"\x1f\x8b"


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Check after the last test that no remaining log, database, trace or other file contains a secret."""
    yield
    refuse(leaks(tmp_path_factory.getbasetemp()))


def refuse(found: list[str]) -> None:
    """Fail and list the files if there are leaks."""
    assert not found, "\n".join(found)


def leaks(directory: Path) -> list[str]:
    """Return the files below a directory that unintentionally contain a secret."""
    found = []
    for path, data in _files(directory):
        found += [f"{path} holds {secret}" for secret in _HANDED_IN if secret.encode() in data and _leaks(path, secret)]
    return found


def _files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield regular files with their content; of an archive, the unpacked content."""
    for path in sorted(directory.rglob("*")):
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                data = path.read_bytes()
                yield path, gzip.decompress(data) if data.startswith(_GZIP) else data
        except (FileNotFoundError, EOFError, gzip.BadGzipFile):  # removed meanwhile, or an archive damaged by its test
            continue


def _leaks(path: Path, secret: str) -> bool:
    if (secret, path.name) in _ASKED_FOR:
        return bool(path.stat().st_mode & 0o077)
    return path.name not in _HANDED_IN[secret]
