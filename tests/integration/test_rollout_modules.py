# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of rollouts against a real server: check mode, run, run again, read back (R16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.canary import STRING
from support.client import Client
from support.lab import write_phones
from support.node import RunningNode
from support.plays import play, rhythm
from support.rollouts import numbers

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
NIGHT = {"name": "night", "runner": "run-1"}
BEGUN = {**NIGHT, "rollout_id": 1}
SHORT = {"wave_size": "2", "wave_seconds": 3, "failure_limit": "100%", "retries": 0}


def phones_file(node: RunningNode, **settings: Any) -> str:
    """Write a file of three phones with quick keys."""
    rows = [{"device_name": name, "key_order": "EC Only", "ec_key_size": 256, **settings} for name in (A, B, C)]
    write_phones(node.directory / "phones.csv", rows)
    return "phones.csv"


def enrol(node: RunningNode, name: str, string: str = "") -> None:
    """Run a phone's session."""
    client = Client(node.capf_port, name)
    client.authenticate(string)
    client.send_key()
    client.confirm()
    client.close()


def test_r16_a_rollout_is_planned_begun_and_taken_up(node: RunningNode) -> None:
    node.activate()
    task = {**NIGHT, **SHORT, "csv_file": phones_file(node)}
    check, real, again = rhythm(node, "ucm.capf.rollout", task)
    assert check["plan"]["waves"] == real["plan"]["waves"] and [len(w["phones"]) for w in check["plan"]["waves"]] == [
        2,
        1,
    ]
    assert again["resumed"] and again["plan"]["waves"] == real["plan"]["waves"]
    assert node.ok("GET", "/rollouts/night")["counts"]["phones"] == 3
    (info, every), _output = play(node, {"ucm.capf.rollout_info": {"name": "night"}}, {"ucm.capf.rollout_info": {}})
    assert info["rollout"]["state"] == "running" and [item["name"] for item in every["rollouts"]] == ["night"]


def test_r16_an_aborted_rollout_stays_aborted(node: RunningNode) -> None:
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    node.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": [A]})
    node.ok("POST", "/rollouts/night/waves", {"runner": "run-1", "rollout_id": 1})
    _check, real, _again = rhythm(node, "ucm.capf.rollout", {**NIGHT, "state": "aborted"})
    assert real["cancelled"] == [A] and node.phone(A)["certificate_operation"] == "No Pending Operation"


def test_r18_a_run_that_releases_its_rollout_lets_the_next_take_it_up_at_once(node: RunningNode) -> None:
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    node.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": [A]})
    other = {**NIGHT, "runner": "run-2"}
    again = {"ucm.capf.rollout": {**other, "phones": [A]}}
    strange = {"ucm.capf.rollout": {**other, "rollout_id": 1, "state": "released"}}
    (stranger, refused), _output = play(node, strange, again)
    assert not stranger["changed"] and refused["code"] == "led_by_another"
    rhythm(node, "ucm.capf.rollout", {**BEGUN, "state": "released"})
    (resumed,), _output = play(node, again)
    assert resumed["resumed"]


def test_r16_a_wave_is_started_waited_for_and_judged(node: RunningNode) -> None:
    node.activate()
    begin = {"ucm.capf.rollout": {**NIGHT, **SHORT, "csv_file": phones_file(node)}}
    play(node, begin)
    check, real, again = rhythm(node, "ucm.capf.rollout_wave", BEGUN)
    assert check["wave"]["phones"] == real["wave"]["phones"] == again["wave"]["phones"] and again["wave"]["resumed"]
    enrol(node, real["wave"]["phones"][0])
    wait = {**BEGUN, "number": 1, "progress_interval": 1}
    judge = {"ucm.capf.rollout_wave": {**BEGUN, "state": "judged", "number": 1}}
    (waited, judged, twice), output = play(node, {"ucm.capf.rollout_wait": wait}, judge, judge)
    assert waited["counts"] == numbers(done=1, in_flight=1) and not waited["changed"]
    assert "done 1, failed 0, in flight 1" in output
    assert judged["counts"] == numbers(done=1, unreached=1) and not judged["stopped"]
    assert judged["failing"][0]["advice"].startswith("the phone did not connect")
    assert twice["failed"] and "has been judged" in twice["msg"]


def test_r16_a_second_run_is_refused_while_the_first_one_lives(node: RunningNode) -> None:
    node.activate()
    task = {**NIGHT, **SHORT, "csv_file": phones_file(node)}
    (first, second), _output = play(node, {"ucm.capf.rollout": task}, {"ucm.capf.rollout": {**task, "runner": "run-2"}})
    assert first["begun"] and second["failed"] and "another run of the rollout 'night' was active" in second["msg"]


def test_strings_of_the_file_are_taken_and_the_list_of_missing_ones_is_kept(node: RunningNode, tmp_path: Path) -> None:
    node.activate()
    file = phones_file(node, authentication_mode="By Authentication String", authentication_string=STRING)
    missing = tmp_path / "missing.txt"
    begin = {"ucm.capf.rollout": {**NIGHT, **SHORT, "wave_size": "3", "csv_file": file}}
    start = {"ucm.capf.rollout_wave": {**BEGUN, "csv_file": file}}
    play(node, begin, start)
    assert node.phone(A)["authentication_string"] == STRING
    enrol(node, A, STRING)
    wait = {"ucm.capf.rollout_wait": {**BEGUN, "number": 1, "progress_interval": 1, "not_entered_file": str(missing)}}
    (waited,), output = play(node, wait)
    assert waited["waiting_for_string"] == [B, C] and missing.read_text() == f"{B}\n{C}\n"
    assert f"string not entered: {B}, {C}" in output and STRING not in output


def test_bad_settings_of_a_rollout_are_named(node: RunningNode) -> None:
    node.activate()
    file = phones_file(node)
    (wrong, twice, row), _output = play(
        node,
        {"ucm.capf.rollout": {**NIGHT, "csv_file": file, "wave_size": "some"}},
        {"ucm.capf.rollout": {**NIGHT, "csv_file": file, "phones": [A]}},
        {"ucm.capf.rollout": {**NIGHT}},
    )
    assert "wave_size: 'some' is refused; allowed: a number of phones such as 25" in wrong["msg"]
    assert "mutually exclusive" in twice["msg"] and "csv_file, phones, criteria" in row["msg"]
    assert node.ok("GET", "/rollouts") == {"rollouts": []}
