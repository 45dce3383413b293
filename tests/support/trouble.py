# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Realistic database faults: each is a context in which the record cannot be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from support.node import RunningNode
from support.postgresql import PostgreSQL

Trouble = Callable[[RunningNode, PostgreSQL], AbstractContextManager[None]]
_TABLES = "phones, operations, certificates, audit, audit_head, settings"


@contextmanager
def sqlite_locked(node: RunningNode, _unused: PostgreSQL) -> Iterator[None]:
    """Another process writes without ending its transaction."""
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def sqlite_full(node: RunningNode, _unused: PostgreSQL) -> Iterator[None]:
    """The file system of the node (``small_disk``) is full."""
    filler = node.state / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    yield
    filler.unlink()


@contextmanager
def postgresql_locked(node: RunningNode, _unused: PostgreSQL) -> Iterator[None]:
    """Another process has locked every table."""
    engine = create_engine(database(node))
    with engine.begin() as other:
        other.exec_driver_sql(f"LOCK TABLE {_TABLES} IN ACCESS EXCLUSIVE MODE")
        yield
    engine.dispose()


@contextmanager
def postgresql_read_only(node: RunningNode, cluster: PostgreSQL) -> Iterator[None]:
    """The database is read-only, like a standby."""
    name = make_url(database(node)).database
    _administer(cluster, node, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    yield
    _administer(cluster, node, f"ALTER DATABASE {name} RESET default_transaction_read_only")


@contextmanager
def postgresql_stopped(_unused: RunningNode, cluster: PostgreSQL) -> Iterator[None]:
    """PostgreSQL is killed."""
    cluster.stop("immediate")
    yield
    cluster.start()


def _administer(cluster: PostgreSQL, node: RunningNode, statement: str) -> None:
    """Run a statement, and make the node reconnect."""
    url = make_url(database(node))
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'"
        )
    engine.dispose()


def database(node: RunningNode) -> str:
    """Return the URL of the node's database."""
    from capf.node import configuration

    return configuration.load(node.config).database


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """Mount a file system of 8 MiB on a directory; needs root, as in CI."""
    assert os.geteuid() == 0, "mounting a file system needs root"
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
