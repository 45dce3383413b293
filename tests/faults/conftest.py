# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for tests that kill real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import postgresql
from support.canary import no_secret_is_left
from support.node import RunningNode

__all__ = ["no_secret_is_left"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgresql.PostgreSQL]:
    """A running PostgreSQL."""
    yield from postgresql.running()


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path, cluster: postgresql.PostgreSQL) -> Iterator[RunningNode]:
    """An activated node on each of the databases."""
    database = None if request.param == "sqlite" else cluster.new_database(cluster.template)
    running = RunningNode(tmp_path / "node", database=database).start()
    running.activate()
    yield running
    running.stop()
