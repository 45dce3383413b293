# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the record behind the sessions, in this process with a simulated clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from capf.certificates.authority import make_capf_certificate
from capf.registry.elapsed import Elapsed
from support import postgresql
from support.canary import no_secret_is_left
from support.inprocess import InProcess, NodeInProcess, new_state
from support.migrated import put_database
from support.record import NOW, Record, recording
from support.rollouts import prepare

__all__ = ["no_secret_is_left"]


@pytest.fixture(scope="session")
def signer() -> tuple[Any, Any]:
    """A CAPF key and certificate."""
    return make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgresql.PostgreSQL]:
    """A running PostgreSQL."""
    yield from postgresql.running()


@pytest.fixture(params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest, tmp_path: Path, signer: tuple[Any, Any]) -> Iterator[Record]:
    """An empty record on each kind of database."""
    if request.param == "sqlite":
        url = put_database(tmp_path)
    else:
        cluster: postgresql.PostgreSQL = request.getfixturevalue("cluster")
        url = cluster.new_database(cluster.template)
    with recording(url, tmp_path, signer) as made:
        yield made


@pytest.fixture
def pair(tmp_path: Path, signer: tuple[Any, Any], cluster: postgresql.PostgreSQL) -> Iterator[tuple[Record, Record]]:
    """Two servers of one empty record, on hosts that were booted at different times."""
    url = cluster.new_database(cluster.template)
    with recording(url, tmp_path, signer) as first, recording(url, tmp_path, signer) as second:
        second.context.node_name = "node2"
        second.context.secrets = first.context.secrets
        second.context.elapsed = Elapsed(lambda: second.steady[0] + 7e6, lambda: "elsewhere")
        yield first, second


@pytest.fixture
def quick(tmp_path: Path, signer: tuple[Any, Any]) -> Iterator[Record]:
    """An empty record on SQLite, for long tests that do not depend on the database."""
    with recording(put_database(tmp_path), tmp_path, signer) as made:
        yield made


@pytest.fixture
def ready(record: Record) -> Record:
    """A record with twelve phones of three sites and a running CAPF."""
    prepare(record)
    return record


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeInProcess]:
    """A first node without activated CAPF."""
    made = NodeInProcess(InProcess(new_state(tmp_path / "state")))
    yield made
    made.stop()


@pytest.fixture
def commits() -> Iterator[list[int]]:
    """The transactions that the databases of this process have committed."""
    seen: list[int] = []

    def count(_connection: object) -> None:
        seen.append(1)

    event.listen(Engine, "commit", count)
    yield seen
    event.remove(Engine, "commit", count)
