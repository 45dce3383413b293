# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SQLite database with the server's tables, created once per test process and copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from capf.store.engine import Store


@cache
def _made() -> Path:
    directory = tempfile.mkdtemp(prefix="capf-migrated-")
    atexit.register(shutil.rmtree, directory)
    path = Path(directory, "capf.db")
    Store(f"sqlite:///{path}").close()
    return path


def put_database(directory: Path) -> str:
    """Copy an empty database with all tables into a directory; return its URL."""
    return f"sqlite:///{shutil.copy(_made(), directory)}"
