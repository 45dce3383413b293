"""The import rule of the design: below listener, API, files, lab and CLI nobody knows of sockets, asyncio or HTTP."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import capf

SOURCE = Path(capf.__file__).parent
OUTER = {
    "listener",
    "api",
    "files",
    "cluster",
    "lab",
    "cli",
    "commands",
    "server",
    "reset",
    "backend",
    "backup",
    "backup_cli",
    "sharing_cli",
    "shared_keys",
    "connection",
    "publisher",
    "neighbours",
    "deadlines",
    "refusals",
    "door",
    "readiness",
    "web",
    "ports",
    "checking",
    "service",
}
STORE_ENGINE = "store.engine"
FORBIDDEN = {"socket", "asyncio", "http", "urllib", "fastapi", "starlette", "hypercorn", "ssl"}
MAY_IMPORT = {
    "wire": set(),
    "model": set(),
    "effects": {"model", "wire"},
    "session": {"model", "wire", "effects"},
    "verify": {"model", "wire", "effects"},
    "authority": {"model", "weak", "lsc", "lint"},
    "lsc": set(),
    "lint": {"model", "lsc"},
    "weak": set(),
    "ctl": {"model"},
    "configuration": {"model"},
    "config": {"configuration", "model"},
}
MODULES = sorted(".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py"))


def imports(module: str) -> set[str]:
    """Return the names that a module imports."""
    tree = ast.parse((SOURCE / Path(*module.split("."))).with_suffix(".py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] not in OUTER])
def test_the_inner_layers_know_nothing_of_the_network(module: str) -> None:
    allowed = {"asyncio"} if module == STORE_ENGINE else {"ssl"} if module == "state" else set()
    tops = {name.split(".")[0] for name in imports(module)}
    assert tops & FORBIDDEN <= allowed


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] not in OUTER])
def test_no_inner_layer_imports_an_outer_one(module: str) -> None:
    assert {name.split(".")[1] for name in imports(module) if name.startswith("capf.")} & OUTER == set()


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_the_core_imports_only_what_the_design_allows(module: str) -> None:
    own = {name.split(".")[1] for name in imports(module) if name.startswith("capf.")}
    assert own <= MAY_IMPORT[module]
