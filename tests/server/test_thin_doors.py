# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors authenticate, parse, call and render: they contain no rules, no SQL and no audit rows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import capf

SERVER = Path(capf.__file__).parent
DOORS = sorted((SERVER / "api").glob("*.py"))
COMMANDS = sorted((SERVER / "command_line").glob("*.py"))
WRITES = {"audit", "record", "awrite", "adry_run", "write", "submit", "execute"}
"""The functions that write: rows, audit rows, jobs of the writer and statements."""
OF_THE_RECORD = ("capf.store", "sqlalchemy")


def tree(door: Path) -> ast.Module:
    """Return the parsed file of a door."""
    return ast.parse(door.read_text())


def test_there_are_doors() -> None:
    assert len(DOORS) > 20 and len(COMMANDS) > 5


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.stem)
def test_a_door_writes_nothing_and_no_audit_row(door: Path) -> None:
    called = {
        node.func.attr
        for node in ast.walk(tree(door))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called & WRITES == set()


@pytest.mark.parametrize("door", COMMANDS, ids=lambda door: door.stem)
def test_the_command_line_has_no_way_to_the_record_but_use_cases(door: Path) -> None:
    modules = {node.module or "" for node in ast.walk(tree(door)) if isinstance(node, ast.ImportFrom)}
    below = ("capf.store", "capf.registry", "capf.certificates", "sqlalchemy")
    assert [name for name in sorted(modules) if name.startswith(below)] == []


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.stem)
def test_a_door_asks_use_cases_and_rules_and_never_the_database(door: Path) -> None:
    modules = {node.module or "" for node in ast.walk(tree(door)) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree(door)) if isinstance(node, ast.Import) for alias in node.names}
    assert [name for name in sorted(modules) if name.startswith(OF_THE_RECORD)] == []
    made = [node for node in ast.walk(tree(door)) if isinstance(node, ast.Call)]
    assert not any(isinstance(call.func, ast.Name) and call.func.id == "Transaction" for call in made)
    assert not any(isinstance(node, ast.Attribute) and node.attr == "store" for node in ast.walk(tree(door)))


def test_the_process_takes_of_the_doors_the_application_alone() -> None:
    server = SERVER / "process" / "server.py"
    modules = [node.module or "" for node in ast.walk(tree(server)) if isinstance(node, ast.ImportFrom)]
    assert [name for name in modules if name.startswith("capf.api")] == ["capf.api.application"]
