# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication strings in the lists of every module that accepts one (P39)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import spreadsheet
from support.node import RunningNode
from support.plays import play

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
NIGHT = {"name": "night", "runner": "run-1"}
WHOLE = {A: "00471108", B: "47110800"}


@pytest.fixture
def strings(node: RunningNode) -> RunningNode:
    """A node with two phones whose strings are pending."""
    node.activate()
    known = [{"device_name": name, "authentication_mode": "By Authentication String"} for name in (A, B)]
    node.ok("POST", "/phones", {"phones": known})
    items = [{"device_name": name, "authentication_string": string} for name, string in WHOLE.items()]
    node.ok("POST", "/operations", {"operation": "Install/Upgrade", "items": items})
    return node


def tasks(file: Path) -> list[dict[str, Any]]:
    """Return a task for each module that takes a list with strings."""
    return [
        {"ucm.capf.phones": {"csv_file": str(file)}},
        {"ucm.capf.phone_operations": {"csv_file": str(file)}},
        {"ucm.capf.rollout": {**NIGHT, "csv_file": str(file)}},
        {"ucm.capf.phone_import": {"csv_file": str(file), "strict": True}},
    ]


def test_p39_every_module_refuses_a_list_that_a_spreadsheet_has_shortened(strings: RunningNode) -> None:
    text = "device_name,authentication_string\n" + "".join(f"{name},{string}\n" for name, string in WHOLE.items())
    whole, shrunk, numbers = (strings.directory / f"{name}.csv" for name in ("whole", "shrunk", "numbers"))
    whole.write_text(text)
    shrunk.write_text(spreadsheet.saved(text))
    numbers.write_text(f"device_name,authentication_string\n{B},47110800\n{C},4.71108E+11\n")
    taken, refused, wrong = tasks(whole), tasks(shrunk), tasks(numbers)
    results, output = play(strings, *refused, *wrong, *taken[:2])
    for result in results[:4]:
        assert (
            result["failed"]
            and f"{shrunk} line 2 authentication_string: a spreadsheet has dropped the zeros" in result["msg"]
        )
        assert "format the column as text in the spreadsheet and enter the string again" in result["msg"]
        assert "line 3" not in result["msg"]
    for result in results[4:8]:
        assert result["failed"] and f"{numbers} line 3 authentication_string" in result["msg"], result
    assert [result["changed"] for result in results[8:]] == [False, False] and results[9]["pending"] == [A, B]
    assert "471108" not in output and "4.71108" not in output
    assert {name: strings.phone(name)["authentication_string"] for name in WHOLE} == WHOLE
    assert strings.ok("POST", "/phones/find", {})["total"] == 2


def test_p39_a_report_of_a_wave_holds_its_phones_alone(strings: RunningNode) -> None:
    strings.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": [A]})
    report = {"rollout": "night", "wave": 1, "dest": "strings.csv"}
    start = {"ucm.capf.rollout_wave": {**NIGHT, "rollout_id": 1}}
    (early, _started, written, half), _output = play(
        strings,
        {"ucm.capf.report": report},
        start,
        {"ucm.capf.report": report},
        {"ucm.capf.report": {"rollout": "night", "dest": "strings.csv"}},
    )
    assert early["failed"] and "wave 1 of the rollout 'night' has not been started" in early["msg"]
    text = (strings.directory / "strings.csv").read_text()
    assert written["phones"] == 1 and WHOLE[A] in text and B not in text
    assert (strings.directory / "strings.csv").stat().st_mode & 0o777 == 0o600
    assert half["failed"] and "required together" in half["msg"]


def test_p39_a_list_of_phones_is_refused_for_its_strings_and_changes_nothing(node: RunningNode) -> None:
    node.activate()
    phones = [{"device_name": A}, {"device_name": B, "authentication_string": "1.23457E+11"}]
    for method, path, body in (
        ("POST", "/phones", {"phones": phones}),
        ("PUT", "/rollouts/night", {"runner": "run-1", "phones": phones}),
        ("POST", "/phones/import", {"phones": phones, "strict": True}),
    ):
        status, answer = node.api(method, path, body)
        (problem,) = answer["error"]["problems"]
        assert (status, problem["field"]) == (422, "phones[1].authentication_string"), path
        assert "format the column as text" in problem["message"] and "1.23457" not in str(answer)
    assert node.ok("POST", "/phones/find", {})["total"] == 0
    phones[1]["authentication_string"] = "0000"
    created = node.ok("POST", "/phones", {"phones": phones})
    assert created["counts"]["created"] == 2 and "authentication_string" not in str(created)
    absent = [{"device_name": A, "authentication_string": "123"}]
    assert node.ok("POST", "/phones", {"phones": absent, "state": "absent"})["counts"]["removed"] == 1
