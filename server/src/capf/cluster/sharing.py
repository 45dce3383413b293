# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that servers of one database have in common: their keys and their trusted certificates."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from capf.certificates.keystore import SECRET, write_whole
from capf.model import CapfError

_KEYS = ("strings.key", "capf.key")
_FOLDERS = ("tokens", "trusted", "manufacturing")
_SUFFIXES = (".key", ".pem")


def files(directory: Path) -> dict[str, bytes]:
    """Return the files of a state directory that the other servers need, by name."""
    folders = (path for folder in _FOLDERS for path in sorted((directory / folder).glob("*")))
    paths = [*(directory / name for name in _KEYS), *(path for path in folders if path.suffix in _SUFFIXES)]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths if path.exists()}


def take(directory: Path, wanted: Mapping[str, bytes], *, dry_run: bool = False) -> list[str]:
    """Make a state directory contain exactly these files of their kind; return the names of those that change."""
    check(wanted)
    held = files(directory)
    gone = held.keys() - wanted.keys()
    changed = {name for name, data in wanted.items() if held.get(name) != data}
    if not dry_run:
        for name in sorted(changed, key=list(wanted).index):
            (directory / name).parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(directory / name, wanted[name], SECRET)
        for name in gone:
            (directory / name).unlink()
    return sorted(changed | gone)


def check(wanted: Mapping[str, bytes]) -> None:
    """Raise CapfError unless these are files of a CAPF server that ``take`` accepts."""
    if not set(_KEYS) <= set(wanted) or any(not _is_one(name) for name in wanted):
        raise CapfError("these are not the keys of a CAPF server")


def _is_one(name: str) -> bool:
    folder, _slash, file = name.rpartition("/")
    return name in _KEYS or (folder in _FOLDERS and not file.startswith(".") and file.endswith(_SUFFIXES))


def pack(directory: Path) -> str:
    """Return the files as one text."""
    return json.dumps({name: base64.b64encode(data).decode() for name, data in files(directory).items()})


def unpack(text: str) -> dict[str, bytes]:
    """Return the files in a text made by ``pack``; CapfError for any other text."""
    try:
        return {str(name): base64.b64decode(data, validate=True) for name, data in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise CapfError("these are not the keys of a CAPF server") from None
