# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of ``capf check`` beyond the configuration file: unusable files, rows and ports (P34, P36).

They change nothing, and the server may run meanwhile.
"""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from capf.model import CapfError
from capf.node import record_context, state
from capf.node.node_settings import NodeSettings
from capf.node.ports import Ports
from capf.node.state import StateDirectory
from capf.registry import faults, parameters
from capf.registry.transaction import Transaction
from capf.store import audit, copying
from capf.store.engine import Store


def look(settings: NodeSettings) -> list[str]:
    """Return the problems, each with what to do about it; none before the node has a state."""
    directory = StateDirectory(settings.state_directory)
    databases = copying.sqlite_files(settings.database)
    if not directory.path.exists() or (databases and not databases[0].exists()):
        return []
    found = []
    try:
        state.check_administration(directory)
    except CapfError as error:
        found.append(f"{error}; the server does not start")
    return found + _of_database(settings, directory)


def _of_database(settings: NodeSettings, directory: StateDirectory) -> list[str]:
    loaded = state.load_unchanged(directory)
    context = record_context.make(settings, directory, loaded)
    ports, running = Ports(settings), _running(directory.path / "lock")

    def job(connection: Connection) -> list[str]:
        stored = parameters.stored(connection)
        obstacles = ports.clash(stored) if running else ports.why_not_listen(stored)
        todo = f"set {parameters.PORT} or {parameters.IPV6} with ucm.capf.enterprise_parameters, or free the port"
        return [
            *([f"CAPF is activated but not running: {running.why_stopped}"] if running and running.why_stopped else []),
            *(str(fault) for fault in faults.find(Transaction(connection, context))),
            *(f"{item.reason}; {todo}" for item in obstacles),
        ]

    store = Store(settings.database, migrate=False)
    try:
        return store.read(job)
    finally:
        store.close()


def check_audit(database: str) -> None:
    """Raise CapfError with the first row of the audit table that does not match the rows before it."""
    store = Store(database)
    try:
        broken = store.read(audit.broken_row)
    finally:
        store.close()
    if broken is not None:
        raise CapfError(f"the audit table was changed: row {broken} does not match the rows before it")


@dataclass(frozen=True, slots=True)
class _Running:
    """A running server, and why CAPF does not run on it (``why_stopped``)."""

    why_stopped: str


def _running(lock: Path) -> _Running | None:
    """Return the running server, which holds the lock of its state directory and uses its ports; None if none runs."""
    try:
        with lock.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _Running(handle.read())
    except OSError:
        return None
    return None
