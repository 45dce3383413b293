# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures with real servers and labs, one per module if its tests do not disturb each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.canary import no_secret_is_left
from support.lab import RunningLab, write_phones
from support.node import RunningNode

__all__ = ["no_secret_is_left"]

World = tuple[RunningNode, RunningLab]
MakeWorld = Callable[..., World]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """A running node without activated CAPF."""
    running = RunningNode(tmp_path / "node").start()
    yield running
    running.stop()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Return a function that creates an activated first node and a lab with the given registered phones."""
    started: list[RunningNode | RunningLab] = []

    def make(phones: list[dict[str, Any]], *options: str | Path, **enterprise: object) -> World:
        csv_file = write_phones(tmp_path / "phones.csv", phones)
        lab = RunningLab(tmp_path / "lab", csv_file)
        node = RunningNode(tmp_path / "node", manufacturing_ca=lab.manufacturing_ca).start()
        started.append(node)
        node.activate(**enterprise)
        known = [{key: value for key, value in phone.items() if not key.startswith("lab_")} for phone in phones]
        node.ok("POST", "/phones", {"phones": known})
        started.append(lab.start(node, *options))
        return node, lab

    yield make
    for running in reversed(started):
        running.stop()
