# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that are found again: where one lies in a file that is not meant to hold it, a test run fails (P13)."""

from __future__ import annotations

import base64
import gzip
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import ADMINISTRATOR, PASSWORD

STRING = "9081726354"
"""The authentication string where a test gives one."""
LOGIN = base64.b64encode(f"{ADMINISTRATOR}:{PASSWORD}".encode()).decode()
_HANDED_IN: dict[str, set[str]] = {
    PASSWORD: {"password", "play.json", "extra-vars.json", "variables.yml"},
    STRING: {"phones.csv", "play.json", "capf.sqlite3"},
    LOGIN: set(),
}
"""By secret: the files in which tests hand it in."""
_ASKED_FOR = {(STRING, "report.csv")}
"""The files in which an administrator wants a secret; they are for their owner alone."""
_GZIP = b"\x1f\x8b"


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no log, database, trace or other file that the tests left holds a secret."""
    yield
    refuse(leaks(tmp_path_factory.getbasetemp()))


def refuse(found: list[str]) -> None:
    """Fail, naming the files, where there are leaks."""
    assert not found, "\n".join(found)


def leaks(directory: Path) -> list[str]:
    """Return the files below a directory that hold a secret and are not meant to."""
    found = []
    for path, data in _files(directory):
        found += [f"{path} holds {secret}" for secret in _HANDED_IN if secret.encode() in data and _leaks(path, secret)]
    return found


def _files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield regular files with what they hold, of an archive what it has packed."""
    for path in sorted(directory.rglob("*")):
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                data = path.read_bytes()
                yield path, gzip.decompress(data) if data.startswith(_GZIP) else data
        except (FileNotFoundError, EOFError, gzip.BadGzipFile):  # gone meanwhile, or an archive that its test damaged
            continue


def _leaks(path: Path, secret: str) -> bool:
    if (secret, path.name) in _ASKED_FOR:
        return bool(path.stat().st_mode & 0o077)
    return path.name not in _HANDED_IN[secret]
