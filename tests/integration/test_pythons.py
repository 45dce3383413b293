# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules as a host runs them, with each Python from 3.9 to 3.13 on this machine, against a real server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import spreadsheet
from support.node import RunningNode
from support.plays import play

A, B = "SEP00000000000A", "SEP00000000000B"
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


def interpreters() -> list[str]:
    """Return an interpreter of each available version, preferably from pyenv."""
    found = []
    for version in VERSIONS:
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        path = str(kept[-1]) if kept else shutil.which(f"python{version}")
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            found.append(path)
    return found


def test_modules_run_under_some_python() -> None:
    assert interpreters(), f"none of Python {', '.join(VERSIONS)} was found"


@pytest.mark.parametrize("interpreter", interpreters())
def test_modules_run_under_this_python(node: RunningNode, interpreter: str) -> None:
    (node.directory / "phones.csv").write_text(f"device_name,key_size\n{A},3072\n{B},\n")
    tasks: list[dict[str, Any]] = [
        {"ucm.capf.capf_service_info": {}},
        {"ucm.capf.phones": {"csv_file": "phones.csv"}},
        {"ucm.capf.phone_operations": {"phones": [A, B]}},
        {"ucm.capf.phones_info": {"criteria": [{"field": "lsc_status", "value": "Operation Pending"}]}},
        {"ucm.capf.preflight_info": {"parameters": {"Key Size": 2048}}},
        {"ucm.capf.report": {"dest": "report.csv"}},
        {"ansible.builtin.command": {"argv": [interpreter, "-c", "import sys; print(sys.version_info[:2])"]}},
        {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "python"], "filter": ["ansible_python"]}},
    ]
    python = {"ansible_python_interpreter": interpreter}
    results, _output = play(node, *({**task, "vars": python} for task in tasks))
    assert not [result for result in results if result.get("failed")], results
    _state, registered, scheduled, found, _checklist, report, asked, facts = results
    assert registered["counts"]["created"] == 2 and scheduled["scheduled"] == [A, B] and found["total"] == 2
    version = facts["ansible_facts"]["ansible_python"]["version"]
    assert asked["stdout"] == f"({version['major']}, {version['minor']})"
    assert report["phones"] == 2
    rows = spreadsheet.opened((node.directory / "report.csv").read_text())
    assert [row["Device Name"] for row in rows] == [A, B]
