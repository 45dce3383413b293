# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's full name, ``ansible_collections.ucm.capf``, for Python that runs in the repository."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def linked() -> Path:
    """Return a directory to import ``ansible_collections.ucm.capf`` from, which is a link to the repository."""
    directory = ROOT / ".cache" / "collection"
    link = directory / "ansible_collections" / "ucm" / "capf"
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another process may have created it meanwhile
        link.symlink_to(ROOT)
    return directory
