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

from support.node import ADMINISTRATOR, PASSWORD, RunningNode

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(os.environ.get("ANSIBLE_BIN") or Path(sys.executable).parent) / "ansible-playbook"


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
        "ANSIBLE_ACTION_PLUGINS": str(ROOT / "tests" / "support" / "action"),
    }


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
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "module_defaults": {"group/ucm.capf.capf": defaults},
            "tasks": [*registered, {**keep, "check_mode": False, "diff": False}],
        }
    ]
    playbook = node.directory / "play.json"
    playbook.write_text(json.dumps(document))
    done = subprocess.run(
        [PLAYBOOK, playbook, *options],
        cwd=node.directory, env={**environment(), **(variables or {})}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[dict[str, Any]] = json.loads(results.read_text())
    return answers, done.stdout + done.stderr


def rhythm(node: RunningNode, module: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a task in check mode, normally, and again, each with a diff; return the three results."""
    task = {module: arguments, "diff": True}
    (check, real, again), _output = play(node, {**task, "check_mode": True}, task, task)
    assert check["changed"] and real["changed"] and not again["changed"], (check, real, again)
    assert check["diff"] == real["diff"]
    return [check, real, again]
