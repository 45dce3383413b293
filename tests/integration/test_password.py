# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module and the command that change the administrator's password (P89)."""

from __future__ import annotations

import json
import subprocess

from support.node import CAPF, RunningNode
from support.plays import play, rhythm
from support.requesting import ADMINISTRATOR, PASSWORD

NEW = "a new pass phrase"


def test_p89_the_module_changes_the_password_once(node: RunningNode) -> None:
    task = "ucm.capf.administrator_password"
    rhythm(node, task, {"new_password": NEW})
    assert node.api("GET", "/service")[0] == 401
    assert node.api("GET", "/service", password=NEW)[0] == 200
    (wrong,), output = play(node, {task: {"new_password": "another one"}})
    assert "administrator name or password is wrong" in wrong["msg"]
    assert NEW not in output and "another one" not in output


def test_p89_the_command_reads_the_password_from_standard_input(node: RunningNode) -> None:
    argv = [str(CAPF), "account", "password", ADMINISTRATOR, "--config", str(node.config)]
    for password, changed in ((PASSWORD, False), (NEW, True), (NEW, False)):
        done = subprocess.run(argv, input=f"{password}\n", capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == {"changed": changed}
    assert node.api("GET", "/service", password=NEW)[0] == 200
