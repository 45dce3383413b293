# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/design.md is correct: its packages are those of the import rule, and its functions are in the named files."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

import capf

ROOT = Path(__file__).parents[2]
SOURCE = Path(capf.__file__).parent
PAGE = (ROOT / "docs" / "design.md").read_text()
BESIDE = {"capf_lab"}
"""The simulated phones are not a layer of the server."""
SHORTEST_WALK = 5


def section(heading: str) -> str:
    """Return the text below a heading, up to the next of the same level."""
    level, _space, _unused = heading.partition(" ")
    return PAGE.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


def defined(path: Path) -> set[str]:
    """Return the functions of a file, those of classes as ``Class.function``."""
    tree, functions = ast.parse(path.read_text()), (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in tree.body if isinstance(node, functions)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, functions)}
    return found


WALKS = re.findall(r"^### (.+)$", section("## A newcomer's walk"), re.MULTILINE)


def test_there_is_a_walk_for_each_kind_of_way() -> None:
    assert [walk.partition(",")[0] for walk in WALKS] == [
        "A phone's session",
        "A rollout's setting",
        "A service parameter",
    ]


@pytest.mark.parametrize("walk", WALKS)
def test_each_function_of_the_walk_is_in_the_file_that_the_page_names(walk: str) -> None:
    rows = re.findall(r"^\| `([\w/.]+)` \| `([\w.]+)` \| \S", section(f"### {walk}"), re.MULTILINE)
    assert len(rows) >= SHORTEST_WALK
    folder = {path.name for path in ROOT.iterdir()}
    files = [((ROOT if file.split("/")[0] in folder else SOURCE) / file, name) for file, name in rows]
    assert [(str(path), name) for path, name in files if not path.exists() or name not in defined(path)] == []


def test_the_packages_are_those_of_the_import_rule_in_its_order() -> None:
    table = runpy.run_path(str(ROOT / "tests" / "server" / "test_layers.py"))["TABLE"]
    named = re.findall(r"^\| `(\w+)` \|", section("## The server's packages, from the ground up"), re.MULTILINE)
    assert named == [name for name in table if name not in BESIDE]
