# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""One name for one thing: class names, and the names of the server's files (docs/design.md, Names)."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server" / "src" / "capf"
FILES = sorted(SERVER.rglob("*.py"))
MIGRATIONS = SERVER / "store" / "migrations"
BELOW_THE_API = {"administration", "registry"}


def test_no_class_name_occurs_twice_in_the_server() -> None:
    found = defaultdict[str, list[str]](list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(SERVER)))
    assert len(found) > 200
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_two_files_have_one_name_only_if_one_is_the_door_to_the_other() -> None:
    found = defaultdict[str, list[Path]](list)
    for path in FILES:
        if path.name != "__init__.py" and MIGRATIONS not in path.parents:
            found[path.name].append(path.relative_to(SERVER).parent)
    twice = {name: sorted(map(str, folders)) for name, folders in found.items() if len(folders) > 1}
    assert twice
    assert {
        name: folders
        for name, folders in twice.items()
        if len(folders) != 2 or "api" not in folders or not {*folders} <= {"api", *BELOW_THE_API}
    } == {}
