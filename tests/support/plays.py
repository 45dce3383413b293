# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs tasks with ansible-playbook against a running node, from a copy of the collection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from support.launcher import Launcher
from support.node import RunningNode
from support.requesting import ADMINISTRATOR, PASSWORD

ROOT = Path(__file__).parents[2]
OTHER_ANSIBLE = os.environ.get("ANSIBLE_BIN")
"""Where another ansible-core is, that the tests are run with."""
PLAYBOOK = Path(OTHER_ANSIBLE or Path(sys.executable).parent) / "ansible-playbook"
_PLAYBOOK_PARTS = (
    "ansible.cli.playbook",
    "ansible.executor.playbook_executor",
    "ansible.plugins.strategy.linear",
    "ansible.plugins.callback.default",
)
_MODULES = Launcher(
    "python",
    ":ansible_module",
    *(f"ansible.module_utils.{name}" for name in ("basic", "urls", "_internal._ansiballz._loader")),
    *("base64", "shutil", "tempfile", "zipfile"),
)


@cache
def collections() -> Path:
    """Return the collections path with a fresh copy of this collection."""
    path = ROOT / ".cache" / "tests" / f"collections-{os.getpid()}"
    subprocess.run([ROOT / "scripts" / "copy-collection", path], check=True, capture_output=True)
    return path


def environment() -> dict[str, str]:
    """Return an environment in which Ansible finds the collection."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_ACTION_PLUGINS": str(ROOT / "tests" / "support" / "action"),
    }


@cache
def _playbook_launcher() -> Launcher:
    return Launcher("ansible-playbook", ":ansible_playbook", *_PLAYBOOK_PARTS, env=environment())


def interpreter() -> str:
    """Return what runs modules: a Python that has imported what every module has from ansible-core."""
    return str(PLAYBOOK.with_name("python") if OTHER_ANSIBLE else _MODULES.client)


def ansible_playbook(*argv: str | Path, cwd: Path, variables: dict[str, str] | None = None) -> tuple[int, str]:
    """Run ansible-playbook in a directory, with more variables of the environment; return its status and output.

    A forked one has read where its collections are already.
    """
    env = {**environment(), **(variables or {})}
    if not OTHER_ANSIBLE and "ANSIBLE_COLLECTIONS_PATH" not in (variables or {}):
        return current(*_playbook_launcher().run(*argv, cwd=cwd, env=env))
    done = subprocess.run(
        [PLAYBOOK, *argv],
        cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return current(done.returncode, done.stdout)


def current(status: int, output: str) -> tuple[int, str]:
    """Return them if nothing that ran is deprecated in this ansible-core (P59)."""
    assert "[DEPRECATION WARNING]" not in output, output
    return status, output


def extra_vars(directory: Path, given: dict[str, Any]) -> list[str]:
    """Return the option that passes variables by a file: a password must not be on a command line."""
    path = directory / "extra-vars.json"
    path.write_text(json.dumps(given))
    return ["--extra-vars", f"@{path}"]


def connection(node: RunningNode, **other: Any) -> dict[str, Any]:
    """Return the connection options of a node."""
    trust = str(node.state / "administration.crt")
    options = {"port": node.port, "administrator": ADMINISTRATOR, "password": PASSWORD, "ca_path": trust}
    return {**options, **other}


def play(
    node: RunningNode,
    *tasks: dict[str, Any],
    options: tuple[str, ...] = (),
    variables: dict[str, str] | None = None,
    **connection_options: Any,
) -> tuple[list[dict[str, Any]], str]:
    """Run tasks, ignoring failures; return their results, and the output of Ansible.

    With variables of the environment, the connection comes from them alone.
    """
    results = node.directory / "results.json"
    registered = [{"register": f"r{index}", **task, "ignore_errors": True} for index, task in enumerate(tasks)]
    names = ", ".join(task["register"] for task in registered)
    keep = {"keep": {"content": "{{ [" + names + "] | to_json }}", "dest": str(results)}}
    defaults = {} if variables else connection(node, **connection_options)
    document = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": interpreter()},
            "module_defaults": {"group/ucm.capf.capf": defaults},
            "tasks": [*registered, {**keep, "check_mode": False, "diff": False}],
        }
    ]
    playbook = node.directory / "play.json"
    playbook.write_text(json.dumps(document))
    status, output = ansible_playbook(playbook, *options, cwd=node.directory, variables=variables)
    assert status == 0, output
    answers: list[dict[str, Any]] = json.loads(results.read_text())
    return answers, output


def rhythm(node: RunningNode, module: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a task in check mode, normally, and again, each with a diff; return the three results."""
    task = {module: arguments, "diff": True}
    (check, real, again), _output = play(node, {**task, "check_mode": True}, task, task)
    assert check["changed"] and real["changed"] and not again["changed"], (check, real, again)
    assert check["diff"] == real["diff"]
    return [check, real, again]
