# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages of server and lab from the ground up: one table for all files.

A package imports only from those before it in ``TABLE``, and only the external modules in its row.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import capf
import capf_lab

SERVER, LAB = Path(capf.__file__).parent, Path(capf_lab.__file__).parent
NETWORK = {"asyncio", "http", "select", "selectors", "socket", "socketserver", "ssl", "urllib"}
"""Modules of the standard library that a package may import only if they are in its row."""
TABLE: dict[str, set[str]] = {
    "model": set(),
    "addresses": set(),
    "device_names": set(),
    "lists": set(),
    "certificates": {"cryptography"},
    "network": {"asyncio", "select", "socket"},
    "phone_session": {"cryptography", "asyncio", "select", "ssl"},
    "store": {"sqlalchemy", "alembic", "asyncio"},
    "registry": {"cryptography", "sqlalchemy.Connection"},
    "phone_files": {"cryptography", "sqlalchemy.Connection", "asyncio", "fastapi", "starlette"},
    "cluster": {"asyncio", "http", "ssl"},
    "node": {"cryptography", "sqlalchemy.Connection", "socket", "ssl"},
    "administration": {"cryptography", "sqlalchemy.Connection", "sqlalchemy.exc", "asyncio"},
    "api": {
        "asyncio",
        "anyio",
        "fastapi",
        "starlette",
        "pydantic",
        "pydantic_core",
        "jinja2",
        "prometheus_client",
    },
    "process": {"sqlalchemy.Connection", "asyncio", "socket", "ssl", "hypercorn", "starlette"},
    "command_line": {"cryptography", "asyncio"},
    "capf_lab": {"cryptography", "asyncio", "http", "socket", "ssl", "urllib"},
}
"""Packages and modules from the ground up, each with the external modules that it may import."""
ALONE: dict[str, dict[str, set[str]]] = {
    "phone_session": {"connection": {"asyncio", "select", "ssl"}, "listener": {"asyncio", "ssl"}},
    "store": {"engine": {"asyncio"}},
    "phone_files": {"publisher": {"asyncio"}, "http_server": {"fastapi", "starlette"}},
    "node": {"ports": {"socket"}, "state": {"ssl"}},
}
"""Packages of which only some files may import the modules in the row: package -> file -> names."""
ONLY: dict[str, dict[str, set[str]]] = {
    "api": {"store": set()},
    "process": {"api": {"capf.api.application"}},
    "capf_lab": {
        "phone_session": {"capf.phone_session.wire"},
        "certificates": {"capf.certificates.ctl"},
        "registry": {"capf.registry.phone_fields"},
    },
}
"""Packages that import only these modules of another one."""
NEIGHBOURS = {"capf_lab": {"model", "device_names", "lists", "phone_session", "certificates", "registry"}}
"""Packages that import only some of those below them."""


def modules() -> dict[str, Path]:
    """Return every file by its dotted name, without the server's prefix ``capf.``."""
    return {
        ".".join(path.relative_to(top).with_suffix("").parts): path
        for source, top in ((SERVER, SERVER), (LAB, LAB.parent))
        for path in source.rglob("*.py")
    }


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports, as (module, name in it or "")."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def own_module(module: str, name: str) -> str:
    """Return the module of the server that an import refers to."""
    inside = f"{module}.{name}"
    return inside if inside.removeprefix("capf.") in MODULES or module == "capf" else module


def is_allowed(file: str, module: str, name: str) -> bool:
    """Return whether the table allows a file to import this name of a module."""
    package, _unused, rest = file.partition(".")
    if module == "capf" or module.startswith("capf."):
        wanted = own_module(module, name)
        other = wanted.split(".")[1]
        only = ONLY.get(package, {}).get(other)
        others = NEIGHBOURS.get(package, {package, "__version__", *ORDER[: ORDER.index(package)]})
        return other in others and (only is None or wanted in only)
    top = module.split(".")[0]
    if top == package == "capf_lab":
        return True
    if top in sys.stdlib_module_names and top not in NETWORK:
        return True
    if not {top, module, f"{module}.{name}"} & TABLE[package]:
        return False
    restricted = set().union(*ALONE.get(package, {}).values())
    return top not in restricted or top in ALONE[package].get(rest, set())


MODULES = modules()
ORDER = list(TABLE)


def broken() -> set[tuple[str, str]]:
    """Return the imports that violate the table, as (file, module)."""
    return {
        (file, own_module(module, name) if module.partition(".")[0] == "capf" else module)
        for file, path in MODULES.items()
        if file != "__init__"
        for module, name in imports(path)
        if not is_allowed(file, module, name)
    }


def test_the_table_names_every_package() -> None:
    assert sorted(TABLE) == sorted({file.split(".")[0] for file in MODULES} - {"__init__"})


def test_a_rule_takes_a_transaction_or_what_it_reads_alone() -> None:
    """Connection, context and actor together are a ``Transaction``; it is never spelled out."""
    spelled_out = {
        f"{file}.{function.name}"
        for file, path in MODULES.items()
        if file.startswith("registry.")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and len(of_transaction(function)) > 1
    }
    assert spelled_out == set()


def of_transaction(function: ast.FunctionDef) -> set[str]:
    """Return the types of a transaction that are among the parameters of a function."""
    given = (item.annotation for item in (*function.args.args, *function.args.kwonlyargs))
    return {item.id for item in given if isinstance(item, ast.Name)} & {"Connection", "Context", "Transaction"}


def test_every_file_imports_only_what_the_table_allows() -> None:
    assert sorted(broken()) == []
