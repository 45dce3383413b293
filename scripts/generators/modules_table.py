# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of modules, from their documentation, the requirements and the tests."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = "docs/modules.md"
COLLECTIONS = ROOT / ".cache" / "documented"
ANSIBLE_DOC = Path(sys.executable).with_name("ansible-doc")
ATTRIBUTES = ("check_mode", "diff_mode", "idempotent")
FOLDERS = ("integration", "faults")
ANY = re.escape("ucm.capf.") + r"\w+"
HEAD = """# Modules

Made by `scripts/generate` from the modules' documentation, [requirements.md](requirements.md) and the tests:
change those. Each of these modules takes the whole list in one request where a list makes sense, and `ansible-doc`
shows its options, examples and return values. The examples are run by
`test_p59_the_examples_of_a_module_run_as_they_are_written`.

| module | what it does | requirements | check mode | diff mode | idempotent | shown by |
| --- | --- | --- | --- | --- | --- | --- |
"""


def documentation() -> dict[str, dict[str, Any]]:
    """Return the documentation of each module, fragments included."""
    subprocess.run([ROOT / "scripts" / "copy-collection", COLLECTIONS], check=True, capture_output=True)
    names = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
    argv: list[str | Path] = [ANSIBLE_DOC, "--json", "--type", "module", *(f"ucm.capf.{name}" for name in names)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return {name: answer[f"ucm.capf.{name}"]["doc"] for name in names}


def requirements(module: str) -> str:
    """Return the requirements whose row says that this module meets them."""
    rows = re.findall(r"^\| (R\d+) \|(.*?)\|", (ROOT / "docs" / "requirements.md").read_text(), re.MULTILINE)
    return ", ".join(number for number, where in rows if f"`{module}`" in where)


def tests() -> list[tuple[str, ast.FunctionDef, set[str]]]:
    """Return every test that runs modules with its file's name and the patterns of its texts, in order."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (ROOT / "tests" / folder).glob("test_*.py")):
        body = ast.parse(path.read_text()).body
        constants = assigned(body)
        for function in body:
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                found.append((path.name, function, set(texts(function, constants)) - {ANY}))
    return found


def texts(function: ast.FunctionDef, constants: dict[str, str]) -> Iterator[str]:
    """Yield a pattern for each text in a function; what an f-string fills in may be any word."""
    known = {**constants, **assigned(function.body)}
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_part(part, known) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value)
        elif isinstance(node, ast.Name) and node.id in known:
            yield re.escape(known[node.id])


def assigned(body: list[ast.stmt]) -> dict[str, str]:
    """Return the names that are given a text in these statements."""
    return {
        node.targets[0].id: node.value.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def _part(part: ast.expr, known: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return re.escape(str(part.value))
    named = part.value.id if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) else ""
    return re.escape(known[named]) if named in known else r"\w+"


def shown_by(module: str, found: list[tuple[str, ast.FunctionDef, set[str]]]) -> str:
    """Return the test that runs a module, by its whole rhythm if there is such a test."""
    name = f"ucm.capf.{module}"
    using = [(file, function) for file, function, patterns in found if any(re.fullmatch(p, name) for p in patterns)]
    using.sort(key=lambda item: "rhythm(" not in ast.unparse(item[1]))
    return f"`{using[0][1].name}` ({using[0][0]})" if using else ""


def made() -> dict[str, str]:
    """Return the file, by its path."""
    found, lines = tests(), []
    for module, doc in documentation().items():
        support = [doc.get("attributes", {}).get(name, {}).get("support", "") for name in ATTRIBUTES]
        cells = [f"`{module}`", doc["short_description"], requirements(module), *support, shown_by(module, found)]
        lines.append(f"| {' | '.join(cells)} |\n")
    return {TABLE: HEAD + "".join(lines)}
