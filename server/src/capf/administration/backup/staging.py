# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work directories of backups and restores, next to their target; never in a directory that other users share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = ".capf-backup"


@contextmanager
def directory_in(place: Path) -> Iterator[Path]:
    """Yield a new directory of mode 0700 in a directory; it is removed at the end."""
    sweep(place)
    with tempfile.TemporaryDirectory(dir=place, prefix=f"{_NAME}-{os.getpid()}-") as work:
        yield Path(work)


def nearest(directory: Path) -> Path:
    """Return the directory, or the nearest one above it that exists."""
    return next(path for path in (directory, *directory.absolute().parents) if path.is_dir())


def sweep(place: Path) -> None:
    """Remove the remains of killed backups and restores from a directory."""
    for left in place.glob(f"{_NAME}-*"):
        process = left.name.removeprefix(f"{_NAME}-").split("-")[0]
        if not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)


def sweep_at_start(place: Path) -> None:
    """Remove directories with the number of this process, before it begins one: they are from an earlier process."""
    for left in place.glob(f"{_NAME}-{os.getpid()}-*"):
        shutil.rmtree(left, ignore_errors=True)
    sweep(place)
