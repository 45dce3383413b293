# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the database that an upgrade makes before the new version migrates it, and puts back if that version fails.

The earlier version makes the copy and puts it back, because only its own schema is known to it. The server is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from capf.administration.backup.archive import DATABASE
from capf.node import belonging
from capf.node.node_settings import NodeSettings
from capf.node.state import StateDirectory
from capf.store import copying, earlier

DIRECTORY = ".before-upgrade"
"""In the state directory; its dot keeps it out of backups."""
_TABLES, _BEGUN = "tables.json", "begun"


def make(settings: NodeSettings) -> bool:
    """Copy the database into the state directory, in place of an earlier copy; return whether there is a copy now.

    There is none if there is no state, or if another server has migrated a shared database already.
    """
    directory = StateDirectory(settings.state_directory)
    belonging.refuse_links(directory.path)
    discard(settings)
    if not directory.capf_key.exists() or not earlier.has_this_schema(settings.database):
        return False
    place = directory.path / DIRECTORY
    with directory.lock():
        place.mkdir(mode=0o700)
        (place / _TABLES).write_text(json.dumps(earlier.tables(settings.database)))
        copying.to_file(settings.database, place / f"{DATABASE}.new")
        os.sync()
        (place / f"{DATABASE}.new").replace(place / DATABASE)
    return True


def put_back(settings: NodeSettings) -> bool:
    """Put the copy back, and return whether that was necessary; an interrupted attempt can be repeated.

    A database that still has this version's schema is left as it is, with all that happened since the copy.
    """
    directory = StateDirectory(settings.state_directory)
    belonging.refuse_links(directory.path)
    place = directory.path / DIRECTORY
    if not (place / DATABASE).exists():
        return False
    with directory.lock():
        if not (place / _BEGUN).exists() and earlier.has_this_schema(settings.database):
            return False
        earlier.check_alone(settings.database)
        (place / _BEGUN).touch()
        earlier.replace(settings.database, place / DATABASE, json.loads((place / _TABLES).read_text()))
        os.sync()
        (place / _BEGUN).unlink()
    return True


def discard(settings: NodeSettings) -> bool:
    """Remove the copy; return whether there was one."""
    place: Path = settings.state_directory / DIRECTORY
    belonging.refuse_links(settings.state_directory)
    there = place.exists()
    if there:
        shutil.rmtree(place)
    return there
