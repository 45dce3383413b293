# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limits that the project promises for its code, checked with the figures of scripts/measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 500
LONGEST_TEST = 550
LONGEST_FUNCTION = 50
MEDIAN_FUNCTION = 10


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, Any]]:
    """The measured files by tree."""
    argv: list[str | Path] = [sys.executable, ROOT / "scripts" / "measure", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)["figures"]
    assert {"server", "server/registry", "lab", "plugins", "plugins/modules", "event source", "tests"} < set(found)
    return found


def test_functions_are_short(figures: dict[str, dict[str, Any]]) -> None:
    for tree, found in figures.items():
        assert found["function"]["max"] <= LONGEST_FUNCTION, tree
    for tree in ("server", "lab", "plugins", "tests"):
        assert figures[tree]["function"]["median"] < MEDIAN_FUNCTION, tree


def test_everything_is_annotated(figures: dict[str, dict[str, Any]]) -> None:
    assert {tree: found["annotated"] for tree, found in figures.items() if found["annotated"] < 100} == {}


def test_files_can_be_read_in_one_go(figures: dict[str, dict[str, Any]]) -> None:
    longest = {tree: found["file"]["max"] for tree, found in figures.items()}
    assert {
        tree: lines
        for tree, lines in longest.items()
        if lines > (LONGEST_TEST if tree.split("/")[0] == "tests" else LONGEST_FILE)
    } == {}


def test_what_the_server_offers_says_what_it_does(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["server"]["docstrings"] >= 95
