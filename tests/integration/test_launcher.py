# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests launch does what the installed command does."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.launcher import Launcher
from support.node import CAPF, RunningNode
from support.plays import PLAYBOOK, ansible_playbook, environment

COMMAND = Launcher("capf", "capf.command_line.main:main")


@pytest.mark.parametrize(
    "argv",
    [["version"], ["--help"], ["nonsense"], ["check", "--config", "none.toml"], ["check", "--config", "capf.toml"]],
)
def test_a_launched_command_answers_as_the_installed_one(tmp_path: Path, argv: list[str]) -> None:
    (tmp_path / "capf.toml").write_text("[server]\nstate_directory = 5\n")
    env = {**os.environ, "COLUMNS": "60"}
    installed = subprocess.run(
        [CAPF, *argv], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert COMMAND.run(*argv, cwd=tmp_path, env=env) == (installed.returncode, installed.stdout)


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_launched_server_ends_as_the_installed_one(
    node: RunningNode, installed: bool, number: int, status: int
) -> None:
    if installed:
        node.stop()
        node.installed = True
        node.start()
    assert node.process is not None and node.process.poll() is None
    assert sorted(os.listdir(f"/proc/{node.process.pid}/fd"), key=int)[:3] == ["0", "1", "2"]
    assert node.stop(number) == status and not Path(f"/proc/{node.process.pid}").exists()


def test_a_launched_playbook_answers_as_the_installed_one(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text('[{"hosts": "localhost", "gather_facts": false, "tasks": [{"fail": {}}]}]')
    argv: list[str | Path] = [PLAYBOOK, "play.yml"]
    done = subprocess.run(
        argv, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ansible_playbook("play.yml", cwd=tmp_path) == (done.returncode, done.stdout) and done.returncode == 2
