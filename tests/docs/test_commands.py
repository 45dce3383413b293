# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands in documents and workflows exist."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def typed(path: Path) -> list[str]:
    """Return the commands in a page or a workflow."""
    if path.suffix == ".md":
        return re.findall(r"`([^`\n]+)`", path.read_text())
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", [*PAGES, *WORKFLOWS], ids=lambda path: path.name)
def test_each_make_target_and_script_that_is_named_exists(path: Path) -> None:
    commands = "\n".join(typed(path))
    assert set(re.findall(r"\bmake ([a-z]+)\b", commands)) - TARGETS == set()
    scripts = {ROOT / name for name in re.findall(r"(?<![\w/])((?:scripts|\.ci)/[\w-]+)", commands)}
    assert [script for script in scripts if not os.access(script, os.X_OK)] == []
    tests = {ROOT / name for name in re.findall(r"(?<![\w/])tests/[\w/]+\.py", commands)}
    assert [test for test in tests if not test.exists()] == []


def test_a_workflow_runs_what_ci_and_developers_run() -> None:
    commands = "\n".join(command for path in WORKFLOWS for command in typed(path))
    assert set(re.findall(r"make \w+|\.ci/run", commands)) == {"make check", "make test"}
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()


def test_owners_are_those_whom_every_module_names() -> None:
    owners = set(re.findall(r"@[\w/-]+", (ROOT / ".github" / "CODEOWNERS").read_text()))
    modules = (ROOT / "plugins" / "modules").glob("*.py")
    assert owners == {name for path in modules for name in re.findall(r"\((@[\w/-]+)\)", path.read_text())}
