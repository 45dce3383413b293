"""The record behind the sessions, in this process, with a clock of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capf.authority import Authority, make_capf_certificate
from capf.registry.context import Context
from capf.secretbox import KEY_BYTES, SecretBox
from capf.store.engine import Store
from support import postgresql
from support.canary import no_secret_is_left
from support.migrated import put_database
from support.record import NOW, Record
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
    """An empty record, on each of the databases."""
    times = [NOW]
    context = Context(
        authority=Authority(*signer, os.urandom),
        secrets=SecretBox(os.urandom(KEY_BYTES)),
        clock=lambda: times[0],
        first_node=True,
        trace_directory=tmp_path / "trace",
        token_directory=tmp_path / "tokens",
    )
    if request.param == "sqlite":
        url = put_database(tmp_path)
    else:
        cluster: postgresql.PostgreSQL = request.getfixturevalue("cluster")
        url = cluster.new_database(cluster.template)
    store = Store(url)
    yield Record(store, context, times)
    store.close()


@pytest.fixture
def ready(record: Record) -> Record:
    """A record with twelve phones of three sites, CAPF running."""
    prepare(record)
    return record
