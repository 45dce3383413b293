# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs of the rollout playbook and an abort: no run restarts the aborted rollout (P37)."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support.node import RunningNode
from support.playbooks import playbook
from support.plays import PLAYBOOK, environment, extra_vars, interpreter, play
from support.requesting import PASSWORD

A = "SEP00000000000A"
WAITS = "another run leads the rollout; waiting"
ABORTED = r"the rollout 'lsc-rollout' was aborted by admin at \d{4}-\d\d-\d\dT[\d:]+[+-][\d:]+"


class Run:
    """A run of the playbook in the background."""

    def __init__(self, node: RunningNode, name: str, **variables: Any) -> None:
        directory = node.directory / name
        directory.mkdir()
        given = {
            "ansible_python_interpreter": interpreter(),
            "capf_port": node.port,
            "capf_password": PASSWORD,
            "capf_ca_path": str(node.state / "administration.crt"),
            "lsc_rollout_phones_from": {"phones": [A]},
            "lsc_rollout_directory": str(directory),
            "lsc_rollout_wave_seconds": 300,
            "lsc_rollout_progress_interval": 1,
            "lsc_rollout_reset": False,
            "lsc_rollout_backup": False,
            **variables,
        }
        self._log = directory / "log"
        argv: list[str | Path] = [PLAYBOOK, "ucm.capf.rollout", *extra_vars(directory, given)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(argv, env=environment(), stdout=log, stderr=log, cwd=directory)

    def until(self, words: str) -> None:
        """Wait until the output has these words."""
        limit = time.monotonic() + 120
        while words not in self.output and self._process.poll() is None and time.monotonic() < limit:
            time.sleep(0.2)
        assert words in self.output, self.output

    @property
    def output(self) -> str:
        """The output of the run so far, on one line."""
        return " ".join(self._log.read_text().split())

    def ended(self) -> int:
        """Wait until the run has ended, and return its exit status."""
        return self._process.wait(120)

    def stop(self) -> None:
        """End the run if it is still running."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def phone(node: RunningNode) -> RunningNode:
    """A node with one phone that never connects."""
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    return node


@pytest.fixture
def runs(phone: RunningNode) -> Iterator[tuple[Run, Run]]:
    """One run with a running wave, and a second run that waits for it."""
    first = Run(phone, "first")
    second = None
    try:
        first.until("in flight 1")
        second = Run(phone, "second")
        second.until(WAITS)
        yield first, second
    finally:
        for run in (first, second):
            if run is not None:
                run.stop()


def test_p37_after_an_abort_both_runs_end_with_who_and_when_and_nothing_is_begun(
    phone: RunningNode, runs: tuple[Run, Run]
) -> None:
    status, output = playbook(phone, "abort_rollout")
    assert status == 0 and re.search(rf"{ABORTED}: 1 operation cancelled\.", output), output
    assert re.search(r"Failed: +1\b", output) and re.search(r"Unreached: +0\b", output), output
    for run in runs:
        assert run.ended() == 2 and re.search(ABORTED, run.output), run.output
        assert "Traceback" not in run.output
    (only,) = phone.ok("GET", "/rollouts")["rollouts"]
    assert (only["state"], only["ended_by"]) == ("aborted", "admin")
    assert phone.phone(A)["certificate_operation"] == "No Pending Operation"


def begin(node: RunningNode) -> dict[str, Any]:
    """Begin the rollout as another run; return the fields that identify it in requests."""
    rollout = node.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": [A]})["rollout"]
    return {"runner": "run-1", "rollout_id": rollout["id"]}


def test_p37_a_second_run_waits_and_is_refused_while_the_first_one_lives(phone: RunningNode) -> None:
    begin(phone)
    task = {"ucm.capf.rollout": {"name": "night", "runner": "run-2", "phones": [A], "wait_timeout": 3}}
    begun = time.monotonic()
    (refused,), output = play(phone, task)
    assert refused["failed"] and refused["code"] == "led_by_another" and time.monotonic() - begun > 3
    assert "another run of the rollout 'night' was active" in refused["msg"] and WAITS in output


@pytest.mark.parametrize("ends", ["release", "abort"])
def test_p37_a_task_that_waits_takes_up_its_rollout_or_fails(phone: RunningNode, ends: str) -> None:
    run = begin(phone)
    task = {"ucm.capf.rollout": {"name": "night", "runner": "run-2", "phones": [A], "wait_timeout": 60}}
    found: list[Any] = []
    waiting = Thread(target=lambda: found.append(play(phone, task)))
    waiting.start()
    time.sleep(6)
    phone.ok("POST", f"/rollouts/night/{ends}", run)
    waiting.join()
    (((result,), output),) = found
    assert WAITS in output
    if ends == "release":
        assert result["resumed"] and result["rollout"]["id"] == run["rollout_id"]
    else:
        assert result["failed"] and result["code"] == "rollout_aborted", result
    assert len(phone.ok("GET", "/rollouts")["rollouts"]) == 1
