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

from capf.administration import provisioning
from capf.administration.backup.archive import DATABASE
from capf.node.node_settings import NodeSettings
from capf.store import copying, earlier

DIRECTORY = ".before-upgrade"
"""In the state directory; its dot keeps it out of backups."""
_TABLES, _BEGUN = "tables.json", "begun"


def make(settings: NodeSettings) -> bool:
    """Copy the database into the state directory, in place of an earlier copy; return whether it was copied.

    It is not copied without a state, or if another server has migrated a shared database already.
    """
    directory = provisioning.state_directory(settings)
    place = directory.path / DIRECTORY
    _remove(place)
    if not directory.capf_key.exists() or not earlier.has_this_schema(settings.database):
        return False
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
    directory = provisioning.state_directory(settings)
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
    return _remove(provisioning.state_directory(settings).path / DIRECTORY)


def _remove(place: Path) -> bool:
    there = place.exists()
    if there:
        shutil.rmtree(place)
    return there
