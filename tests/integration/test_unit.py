# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd unit that the role writes; the molecule scenario `rollout` checks that phones are served with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.plays import ROOT, ansible_playbook, interpreter

ROLE = ROOT / "roles" / "capf_server"
CLOSED_TIGHTLY = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager"]


def write_unit(path: Path, **variables: str | bool) -> None:
    """Write the unit as the role does, with its defaults and some variables."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml")],
        "vars": {"ansible_python_interpreter": interpreter(), **variables},
        "tasks": [
            {"template": {"src": str(ROLE / "templates" / "capf.service.j2"), "dest": str(path), "mode": "0644"}}
        ],
    }
    playbook = path.with_suffix(".json")
    playbook.write_text(json.dumps([play]))
    status, output = ansible_playbook(playbook, cwd=path.parent)
    assert status == 0, output


@pytest.mark.parametrize("tftp", [False, True])
def test_p29_the_unit_is_closed_tightly(tmp_path: Path, tftp: bool) -> None:
    unit = tmp_path / "capf.service"
    write_unit(unit, capf_server_tftp=tftp)
    done = subprocess.run([*CLOSED_TIGHTLY, unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_p29_a_unit_that_is_open_is_found(tmp_path: Path) -> None:
    unit = tmp_path / "capf.service"
    write_unit(unit)
    lines = unit.read_text().splitlines()
    unit.write_text("\n".join(line for line in lines if not line.startswith(("Protect", "SystemCall", "User="))))
    assert subprocess.run([*CLOSED_TIGHTLY, unit], capture_output=True, check=False).returncode != 0
