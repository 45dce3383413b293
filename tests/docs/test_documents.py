# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documents are correct: each requirement is listed, and its tests exist."""

import re
import subprocess
import sys
from pathlib import Path

from capf.model import Outcome
from capf.registry.parameters import ENTERPRISE, SERVICE

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| R(\d+) \|(.*)\|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`(test_\w+)`")


def _rows() -> dict[int, str]:
    text = (ROOT / "docs" / "requirements.md").read_text()
    return {int(number): proof for number, _unused, proof in ROW.findall(text)}


def _tests() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    return set(re.findall(r"^\s*(?:async )?def (test_\w+)", "\n".join(sources), re.MULTILINE))


def test_every_requirement_has_a_sentence_and_a_row() -> None:
    text = (ROOT / "docs" / "requirements.md").read_text()
    said = [int(number) for number in re.findall(r"^- \*\*R(\d+)\*\* \w", text, re.MULTILINE)]
    assert said == sorted(_rows()) == list(range(1, 34))


def test_every_row_names_a_test() -> None:
    silent = [number for number, proof in _rows().items() if not TEST.search(proof)]
    assert silent == []


def test_every_test_that_a_row_names_exists() -> None:
    named = {name for proof in _rows().values() for name in TEST.findall(proof)}
    assert named - _tests() == set()
    assert named


def test_the_vocabulary_has_every_status_and_parameter_as_the_server_has_it() -> None:
    text = (ROOT / "docs" / "vocabulary.md").read_text()
    rows = {cells[0].strip("` "): cells for line in text.splitlines() if (cells := line.strip("| ").split(" | "))}
    assert {str(outcome.value) for outcome in Outcome} - set(rows) == set()
    for parameter in (*SERVICE, *ENTERPRISE):
        assert parameter.name in rows, parameter.name
        assert str(parameter.default) in " ".join(rows[parameter.name]), parameter.name
        if parameter in SERVICE and parameter.minimum is not None:
            assert rows[parameter.name][-1] == f"{parameter.minimum} to {parameter.maximum}", parameter.name


def test_what_is_generated_is_as_the_tables_say() -> None:
    argv: list[str | Path] = [sys.executable, ROOT / "scripts" / "generate", "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", (ROOT / "docs" / "modules.md").read_text(), re.MULTILINE)
    assert {module for module, proof in rows if not TEST.search(proof)} == set()
    assert len(rows) == len(list((ROOT / "plugins" / "modules").glob("*.py")))


WHOLE = ("api", "registry", "store")
"""Packages that docs/server.md lists without their files."""


def test_the_map_of_the_server_names_every_package_and_file() -> None:
    text = (ROOT / "docs" / "server.md").read_text()
    first = re.findall(r"^\| `([\w./]+)` \|", text, re.MULTILINE)
    source = ROOT / "server" / "src" / "capf"
    packages = {path.parent for path in source.glob("*/__init__.py")}
    there = {path.name for path in source.glob("*.py")} | {f"{path.name}/" for path in packages}
    for package in packages - {source / name for name in WHOLE}:
        there |= {f"{package.name}/{path.name}" for path in package.glob("*.py")}
        there |= {f"{package.name}/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert sorted(first) == sorted(name for name in there if not name.endswith("__init__.py"))
