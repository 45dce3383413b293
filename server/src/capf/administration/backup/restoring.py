# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a backup onto a host that has no state; the whole archive is checked before anything is installed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection

from capf.administration.backup import inspection, sealing, staging
from capf.administration.backup.archive import DATABASE, KEY, Manifest
from capf.certificates.keystore import SECRET, write_whole
from capf.cluster import sharing
from capf.model import CapfError, ConflictError, words_of
from capf.node.node_settings import NodeSettings
from capf.node.state import StateDirectory
from capf.registry.transaction import SERVER
from capf.store import audit, copying
from capf.store.engine import Store

_TRIES = ".restoring"
"""Lists copies that interrupted restores may have left in the database, by the digest of their last audit row."""


def is_there(settings: NodeSettings) -> bool:
    """Return whether the state directory contains a server's state."""
    return StateDirectory(settings.state_directory).capf_key.exists()


def restore(settings: NodeSettings, source: Path, passphrase: str | None, *, dry_run: bool = False) -> Manifest:
    """Restore an archive into an empty state directory and an empty database; return its manifest.

    ``passphrase``: None for a plain archive. CapfError, and no change, if the archive or its target is not usable. The
    key is written last, so an interrupted restore can be run again, and replaces its own remains. With ``dry_run``,
    everything is checked and nothing installed.
    """
    directory = settings.state_directory
    _check_place(settings)
    try:
        with source.open("rb") as file:
            pieces = sealing.opened(file, passphrase)
            with staging.directory_in(staging.nearest(directory)) as work:
                manifest = inspection.unpack(pieces, work)
                copying.check_empty(settings.database, _earlier(directory))
                if not dry_run:
                    _put_in_place(settings, work, manifest.files)
    except ConflictError:
        raise
    except (CapfError, OSError) as error:
        raise CapfError(f"{source} cannot be restored: {words_of(error)}") from error
    return manifest


def _check_place(settings: NodeSettings) -> None:
    """Raise ConflictError if the directory contains a state, or parts of one that would be trusted after a restore."""
    directory = settings.state_directory
    if is_there(settings):
        raise ConflictError(f"{directory} already contains a CAPF server's state")
    left = [] if (directory / _TRIES).exists() else sorted(sharing.files(directory))
    if left:
        raise ConflictError(f"{directory} is not empty: it contains {', '.join(left[:5])}; move it away first")


def _earlier(directory: Path) -> list[str]:
    tries = directory / _TRIES
    return tries.read_text().split() if tries.exists() else []


def _put_in_place(settings: NodeSettings, work: Path, names: Iterable[str]) -> None:
    directory = settings.state_directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tries, earlier = directory / _TRIES, _earlier(directory)
    write_whole(tries, " ".join(earlier).encode(), SECRET)
    for name in names:
        if name not in (DATABASE, KEY):
            _move(work / name, directory / name)
    restored = _record(work / DATABASE)
    write_whole(tries, " ".join([*earlier, restored]).encode(), SECRET)
    copying.from_file(work / DATABASE, settings.database, earlier)
    os.sync()
    write_whole(directory / KEY, (work / KEY).read_bytes(), SECRET)
    tries.unlink()


def _move(staged: Path, target: Path) -> None:
    """Move a file to its final name; an existing link there is replaced, not followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)


def _record(database: Path) -> str:
    """Add an audit row to the copy, and release the operations that were in a session; return the row's digest."""

    def job(connection: Connection) -> None:
        operations = copying.give_back(connection)
        audit.record(connection, int(time.time()), SERVER, "restore", operations=operations)

    store = Store(f"{copying.SQLITE}{database}")
    try:
        store.write(job)
        return store.read(audit.head)
    finally:
        store.close()
