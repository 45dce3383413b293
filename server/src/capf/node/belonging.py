# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a state directory: it may only contain directories and files with a single name. Links are refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from capf.model import CapfError

_OWN = "own"
"""A site's own files for phones, which may be links."""
_SHOWN = 50


def refuse_links(directory: Path) -> None:
    """Raise CapfError with each link, hard link and device in a state directory, if there are any.

    A server's own files are never links; a planted one would lead a restore or a deployment elsewhere.
    """
    found = [f"{path} is {what}" for path, what in _strange(directory)] if directory.exists() else []
    if not found:
        return
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    listed = ", ".join(found[:_SHOWN] + more)
    raise CapfError(f"{listed}; remove them; nothing was changed")


def _strange(directory: Path) -> Iterator[tuple[Path, str]]:
    for folder, directories, files, descriptor in os.fwalk(directory / ".", onerror=_raise, follow_symlinks=False):
        names = sorted(directories + files)
        if Path(folder) == directory:
            directories[:] = [name for name in directories if name != _OWN]
        for name in names:
            what = _what(name, descriptor)
            if what:
                yield Path(folder, name), what


def _what(name: str, folder: int) -> str:
    """Return the kind of a path that does not belong in a state directory, empty if it does."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:  # a temporary file that the running server has renamed meanwhile
        return ""
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    if stat.S_ISREG(found.st_mode):
        return "a hard link" if found.st_nlink > 1 else ""
    return "" if stat.S_ISDIR(found.st_mode) else "neither a file nor a directory"


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
