# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""If the server does not answer in time, the role shows its last log lines (P36)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from support.node import free_ports
from support.plays import ROOT, ansible_playbook, extra_vars

ANSWER = ROOT / "roles" / "capf_server" / "tasks" / "answer.yml"


def test_p36_the_role_shows_the_last_lines_where_the_server_does_not_answer(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "capf.log").write_text("".join(f"line {number}\n" for number in range(50)) + "capf: the last word\n")
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": {"name": "ucm.capf.capf_server", "tasks_from": "answer.yml"}}],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    given = {
        "capf_server_run_as": "process",
        "capf_server_state_directory": str(tmp_path),
        "capf_server_administration_host": "127.0.0.1",
        "capf_server_administration_port": port,
        "capf_server_answer_seconds": 1,
        "capf_server_password": "never-to-be-seen",
    }
    status, printed = ansible_playbook(tmp_path / "play.yml", *extra_vars(tmp_path, given), cwd=tmp_path)
    output = " ".join(printed.split())
    assert status != 0 and "capf: the last word" in output and '"line 31"' in output
    assert '"line 30"' not in output and "never-to-be-seen" not in output
    assert f"did not answer on 127.0.0.1 port {port} within 1 seconds" in output


@pytest.mark.parametrize(("run_as", "reads"), [("systemd", "journalctl"), ("process", "tail")])
def test_p36_the_role_knows_where_the_last_lines_are(run_as: str, reads: str) -> None:
    (wait,) = yaml.safe_load(ANSWER.read_text())
    argv = wait["vars"]["capf_server_last_lines"][run_as]
    assert argv[0] == reads and "20" in argv
    assert [task["name"] for task in wait["rescue"]][-1] == "Fail with the server's last log lines"
