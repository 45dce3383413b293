# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError
from ansible_collections.ucm.capf.plugins.module_utils._earlier import read_capfd

PHONES, PAGE = 500, 4096


def test_p34_a_damaged_database_of_capfd_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "capf.sqlite3"
    with closing(sqlite3.connect(str(path))) as database:
        database.execute("CREATE TABLE devices (device_name TEXT PRIMARY KEY, operation TEXT)")
        rows = [(f"SEP{number:012X}", "none") for number in range(PHONES)]
        database.executemany("INSERT INTO devices VALUES (?, ?)", rows)
        database.commit()
    assert len(read_capfd(str(path)).phones) == PHONES
    pages = path.read_bytes()
    path.write_bytes(pages[: 4 * PAGE] + pages[5 * PAGE : 6 * PAGE] + pages[4 * PAGE : 5 * PAGE] + pages[6 * PAGE :])
    with pytest.raises(CapfError, match=r"is damaged|is not a capfd database"):
        read_capfd(str(path))
