# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makefile, contributing page and the parts of scripts/test name the same things; each test file has its own name."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def targets() -> dict[str, str]:
    """Return what the Makefile's targets run."""
    text = (ROOT / "Makefile").read_text()
    return dict(re.findall(r"^(\w+):[^\n]*\n((?:\t[^\n]*\n)+)", text, re.MULTILINE))


def test_every_target_runs_parts_that_there_are() -> None:
    constants = runpy.run_path(str(ROOT / "scripts" / "test"))
    known = {*constants["PARTS"], *constants["FAST_PARTS"]}
    asked = {part for recipe in targets().values() for part in re.findall(r"scripts/test (\w+)", recipe)}
    assert {"check", "coverage", "python_lint"} <= asked <= known


def test_the_parts_of_pytest_are_last() -> None:
    constants = runpy.run_path(str(ROOT / "scripts" / "test"))
    assert [*constants["PARTS"]][-2:] == ["tests", "timed_tests"]
    beside = constants["BESIDE_EACH_OTHER"]
    assert {name for long, others in beside.items() for name in (long, *others)} < set(constants["PARTS"])


def test_every_command_of_the_contributing_page_is_a_target_and_every_target_stands_there() -> None:
    named = set(re.findall(r"^\| `make (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert named == set(targets()) - {"clean"}


def test_no_two_test_files_are_the_same_module_to_pytest() -> None:
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if not (path.parent / "__init__.py").exists()]
    assert [name for name, count in Counter(path.name for path in files).items() if count > 1] == []
