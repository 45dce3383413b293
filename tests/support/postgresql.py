# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real PostgreSQL server for the tests."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from capf.store.engine import Store
from support import canary
from support.node import free_ports

_NUMBERS = itertools.count()
_FOR_TESTS = "-c fsync=off -c full_page_writes=off -c autovacuum=off"
"""What is committed survives a server that is killed, though not a machine that is; nothing runs by itself."""


class PostgreSQL:
    """A database cluster on a free loopback port; root runs it as the user postgres."""

    def __init__(self) -> None:
        (self._bin,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._directory = Path(tempfile.mkdtemp(prefix="capf-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self._directory, "postgres")
        self.port = free_ports(1)[0]
        self._run("initdb", "--auth=trust", "--no-sync", "-D", str(self._directory / "data"))
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        argv = [str(self._bin / program), *arguments]
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*prefix, *argv], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        """Start the cluster and wait until it accepts connections."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self._directory} {_FOR_TESTS}"
        self._run("pg_ctl", "start", "-w", "-D", str(self._directory / "data"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop the cluster."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._directory / "data"))

    def new_database(self, template: str = "template1") -> str:
        """Create a database, empty or as a copy of another; return its URL."""
        name = f"capf{next(_NUMBERS)}"
        where = f"host=127.0.0.1 port={self.port} user={self._user} dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        return f"postgresql+psycopg://{self._user}@127.0.0.1:{self.port}/{name}"

    @cached_property
    def template(self) -> str:
        """The name of a database that already has the server's tables."""
        url = self.new_database()
        Store(url).close()
        return url.rpartition("/")[2]

    def remove(self) -> None:
        """Stop the cluster, check that its files contain no secrets, and remove them."""
        self.stop()
        found = canary.leaks(self._directory)
        shutil.rmtree(self._directory)
        canary.refuse(found)


def running() -> Iterator[PostgreSQL]:
    """Yield a running cluster and remove it afterwards, for fixtures."""
    cluster = PostgreSQL()
    yield cluster
    cluster.remove()
