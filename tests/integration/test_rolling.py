# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rolling rollout: the role begins and watches it, the server runs it, and a person resumes it (R16, R18)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeWorld
from integration.test_rollout import NAMES, phones, reports, summary
from integration.test_rollout_abort import ABORTED, Run
from support import spreadsheet
from support.lab import RunningLab
from support.node import RunningNode
from support.playbooks import playbook
from support.plays import play, rhythm
from support.waiting import until

A, B = "SEP00000000000A", "SEP00000000000B"
ROLLING = {"lsc_rollout_strategy": "rolling", "lsc_rollout_retries": 0, "lsc_rollout_refused_seconds": 1}
NIGHT = {"name": "night", "runner": "run-1"}
COMMANDS = ("ansible-playbook ucm.capf.resume_rollout -e lsc_rollout_name=lsc-rollout",
            "ansible-playbook ucm.capf.abort_rollout -e lsc_rollout_name=lsc-rollout")  # fmt: skip


def rollout(node: RunningNode, lab: RunningLab, *options: str, **variables: Any) -> tuple[int, str]:
    """Run the playbook with the strategy rolling; return its exit status, and its output on one line."""
    listed = {"lsc_rollout_csv_file": str(lab.phones)}
    return playbook(node, "rollout", *options, **{**listed, **ROLLING, "lsc_rollout_in_flight": "3", **variables})


def world(make_world: MakeWorld, tmp_path: Path, **behaviours: str) -> tuple[RunningNode, RunningLab]:
    """Create a node and a lab whose users read the strings that the rollout writes."""
    return make_world(phones(**behaviours), "--strings", tmp_path / "node" / "rollout" / "strings")


def test_r16_the_server_runs_the_rollout_and_a_second_run_changes_nothing(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path)
    status, output = rollout(node, lab)
    assert status == 0, output
    assert "PROGRESS [the rollout lsc-rollout]" in output and "Start the next wave" not in output
    first = summary(node)
    assert (first["state"], first["phones"], first["installed"], first["failed"]) == ("done", 9, 9, 0)
    assert (reports(node) / "rollout.html").exists()
    status, output = rollout(node, lab)
    assert status == 0 and re.search(r"changed=0 ", output), output
    assert (summary(node)["skipped"], summary(node)["scheduled"]) == (9, 0)


def test_r16_check_mode_shows_the_plan_of_a_rolling_rollout_and_begins_nothing(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path)
    status, output = rollout(node, lab, "--check")
    assert status == 0 and "9 phones need an LSC" in output, output
    assert node.ok("GET", "/rollouts") == {"rollouts": []}


def test_r16_too_many_failures_pause_the_rollout_until_a_person_resumes_it(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path, p1="offline")
    limits = {"lsc_rollout_unreached_limit": "0", "lsc_rollout_contact_seconds": 3, "lsc_rollout_in_flight": "1"}
    status, output = rollout(node, lab, **limits)
    assert status == 2 and "the rollout 'lsc-rollout' is paused: 1 of " in output, output
    assert f"{NAMES[1]}. To do:" in output
    assert [command for command in COMMANDS if f"'{command}'" not in output] == []
    assert summary(node)["state"] == "running" and (reports(node) / "rollout.html").exists()
    done = node.ok("GET", "/rollouts/lsc-rollout")["counts"]["done"]
    status, output = rollout(node, lab, **limits)
    assert status == 2 and "the rollout 'lsc-rollout' is paused: 1 of " in output, output
    assert node.ok("GET", "/rollouts/lsc-rollout")["counts"]["done"] >= done
    status, output = playbook(node, "resume_rollout")
    assert status == 0 and "changed=1" in output, output
    status, output = rollout(node, lab, **limits)
    assert status == 0, output
    assert (summary(node)["state"], summary(node)["installed"]) == ("done", 8)


@pytest.fixture
def phone(node: RunningNode) -> RunningNode:
    """A node with one phone that never connects."""
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    return node


@pytest.fixture
def watching(phone: RunningNode) -> Iterator[Run]:
    """A run that watches a rollout with one phone in flight."""
    run = Run(phone, "first", **ROLLING)
    try:
        run.until("PROGRESS [the rollout")
        until_in_flight(phone)
        yield run
    finally:
        run.stop()


def until_in_flight(node: RunningNode) -> None:
    """Wait until the server has admitted the phone."""
    until(lambda: node.ok("GET", "/rollouts/lsc-rollout")["counts"]["in_flight"] == 1, 20)


def test_r16_a_person_pauses_and_resumes_a_rollout(phone: RunningNode, watching: Run) -> None:
    status, output = playbook(phone, "pause_rollout", "--check")
    assert status == 0 and "changed=1" in output, output
    assert phone.ok("GET", "/rollouts/lsc-rollout")["paused_at"] is None
    status, output = playbook(phone, "pause_rollout", pause_reason="the WAN is down")
    assert status == 0 and "changed=1" in output, output
    assert watching.ended() == 2
    assert "the WAN is down" in watching.output
    assert [command for command in COMMANDS if f"'{command}'" not in watching.output] == []
    assert phone.phone(A)["certificate_operation"] != "No Pending Operation"
    status, output = playbook(phone, "pause_rollout")
    assert status == 0 and "changed=0" in output, output
    assert "the WAN is down" in phone.ok("GET", "/rollouts/lsc-rollout")["pause"]
    status, output = playbook(phone, "resume_rollout")
    assert status == 0 and "changed=1" in output, output
    status, output = playbook(phone, "resume_rollout")
    assert status == 0 and "changed=0" in output, output


def test_r16_an_abort_ends_the_run_that_watches(phone: RunningNode, watching: Run) -> None:
    status, output = playbook(phone, "abort_rollout")
    assert status == 0 and re.search(rf"{ABORTED}: 1 operation cancelled\.", output), output
    assert watching.ended() == 2 and re.search(ABORTED, watching.output), watching.output
    assert "Traceback" not in watching.output
    assert phone.phone(A)["certificate_operation"] == "No Pending Operation"


def test_r16_a_paused_rollout_is_aborted(phone: RunningNode, watching: Run) -> None:
    playbook(phone, "pause_rollout")
    assert watching.ended() == 2
    status, output = playbook(phone, "abort_rollout")
    assert status == 0 and re.search(rf"{ABORTED}: 1 operation cancelled\.", output), output


def begin(node: RunningNode, **settings: Any) -> dict[str, Any]:
    """Begin a rolling rollout of the phone; return the options of the tasks that watch it."""
    wanted = {"runner": "run-1", "names": [A], "strategy": "rolling", "reset": False, **settings}
    rollout = node.ok("PUT", "/rollouts/night", wanted)["rollout"]
    return {**NIGHT, "rollout_id": rollout["id"], "progress_interval": 1}


def test_r16_the_module_pauses_and_resumes_a_rollout(phone: RunningNode) -> None:
    begin(phone)
    _check, real, _again = rhythm(phone, "ucm.capf.rollout", {**NIGHT, "state": "paused", "reason": "a storm"})
    assert "a storm" in real["rollout"]["pause"] and real["rollout"]["paused_at"]
    _check, real, _again = rhythm(phone, "ucm.capf.rollout", {**NIGHT, "state": "resumed"})
    assert (real["rollout"]["pause"], real["rollout"]["paused_at"]) == ("", None)


def test_r16_a_rollout_is_watched_until_it_is_paused_or_has_ended(phone: RunningNode) -> None:
    phone.ok("POST", "/phones", {"phones": [{"device_name": B}]})
    watch = begin(phone, names=[A, B], in_flight="1", contact_seconds=1, unreached_limit="0", retries=0)
    task = {"ucm.capf.rollout_watch": watch}
    resume = {"ucm.capf.rollout": {**NIGHT, "state": "resumed"}}
    look = {**task, "check_mode": True}
    (looked, paused, again, _resumed, ended), output = play(phone, look, task, task, resume, task)
    assert not any(result.get("failed") for result in (looked, paused, again, ended)), output
    assert not looked["ended"] and looked["counts"]["waiting"] == 2
    assert paused["paused"] and "unreached, 0 allowed" in paused["problem"], paused
    assert not paused["changed"] and paused["counts"]["unreached"] == 1 and paused["lines"]
    assert again["paused"] and again["waited_seconds"] <= 1
    assert ended["ended"] and ended["counts"]["unreached"] == 2, ended
    assert "PROGRESS [the rollout night]" in output


def test_r16_strings_of_phones_that_wait_are_written_for_each_site(phone: RunningNode, tmp_path: Path) -> None:
    other = {"device_name": B, "device_pool": "Floor 1"}
    by_string = {"authentication_mode": "By Authentication String"}
    phone.ok("POST", "/phones", {"phones": [{**other, **by_string}]})
    strings = tmp_path / "strings"
    strings.mkdir()
    watch = begin(phone, names=[A, B], contact_seconds=3, unreached_limit="0", wave_seconds=3)
    (watched,), _output = play(phone, {"ucm.capf.rollout_watch": {**watch, "strings_directory": str(strings)}})
    (file,) = strings.iterdir()
    assert watched["changed"] and watched["string_files"] == [str(file)] and file.name.startswith("Floor_1-")
    (row,) = spreadsheet.opened(file.read_text())
    assert row["Device Name"] == B and file.stat().st_mode & 0o777 == 0o600


def test_r16_a_check_of_registration_on_the_control_node_is_refused(phone: RunningNode) -> None:
    given = {"lsc_rollout_phones_from": {"phones": [A]}, "lsc_rollout_registration_command": ["true"]}
    status, output = playbook(phone, "rollout", lsc_rollout_reset=False, **given, **ROLLING)
    assert status == 2 and "set capf_server_registration_command when you deploy the server" in output, output
    assert phone.ok("GET", "/rollouts") == {"rollouts": []}
