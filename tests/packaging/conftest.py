# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built archive, and a node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import installed
from support.node import RunningNode


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that ansible-galaxy builds from the files that git tracks."""
    return installed.build(tmp_path_factory.mktemp("build"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """A running node with activated CAPF, without phones."""
    running = RunningNode(tmp_path / "node").start()
    running.activate()
    yield running
    running.stop()
