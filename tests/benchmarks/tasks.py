# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures tasks and playbooks: each runs as a whole ansible-playbook, from start to end, against a running node."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from benchmarks.machine import Meter

from support.node import RunningNode
from support.plays import PLAYBOOK, connection, environment

HEAD = """
- hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    group/ucm.capf.capf:
{options}
  tasks:
"""


class Bench:
    """Runs one task at a time, each as a separate ansible-playbook, and prints its figures."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        assert node.process is not None
        self.pid = node.process.pid
        options = "\n".join(f"      {name}: {value}" for name, value in connection(node).items())
        self._head = HEAD.format(options=options)

    def task(self, title: str, task: str, *options: str, scale: float = 1) -> float:
        """Run a task of YAML lines; print and return its seconds, multiplied by ``scale``."""
        play = self.node.directory / "play.yml"
        play.write_text(self._head + "".join(f"    {line}\n" for line in task.splitlines()))
        return self.playbook(title, play, *options, scale=scale)

    def playbook(self, title: str, *argv: str | Path, scale: float = 1) -> float:
        """Run a playbook with options; print and return its seconds, multiplied by ``scale``."""
        begin, server = time.perf_counter(), Meter(self.pid)
        done = subprocess.run(
            ["/usr/bin/time", "-f", "%U %S %M", PLAYBOOK, *argv],
            env=environment(), capture_output=True, text=True, check=False, cwd=self.node.directory,
        )  # fmt: skip
        seconds = (time.perf_counter() - begin) * scale
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        (changed,) = re.findall(r"changed=(\d+)", done.stdout)
        user, system, largest = map(float, done.stderr.split()[-3:])
        note = f"scaled by {scale:.0f}" if scale != 1 else f"changed={changed}"
        print(
            f"{title:<58} {seconds:8.2f} s  {note:<14} control node {user + system:5.2f} s {largest / 1024:4.0f} MiB,"
            f" server {server.cpu_seconds():5.2f} s {server.largest_mib():4.0f} MiB",
            flush=True,
        )
        return seconds
