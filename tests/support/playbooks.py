# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the collection's playbooks by their full names, as an administrator does."""

from __future__ import annotations

from typing import Any

from support.node import RunningNode
from support.plays import ansible_playbook, extra_vars, interpreter
from support.requesting import PASSWORD


def playbook(node: RunningNode, name: str, *options: str, **variables: Any) -> tuple[int, str]:
    """Run a playbook of the collection against a node; return its exit status, and its output on one line."""
    given = {
        "ansible_python_interpreter": interpreter(),
        "capf_port": node.port,
        "capf_password": PASSWORD,
        "capf_ca_path": str(node.state / "administration.crt"),
        "lsc_rollout_directory": str(node.directory / "rollout"),
        "lsc_rollout_wave_seconds": 30,
        "lsc_rollout_progress_interval": 1,
        **variables,
    }
    status, output = ansible_playbook(
        f"ucm.capf.{name}", *extra_vars(node.directory, given), *options, cwd=node.directory
    )
    return status, " ".join(output.split())
