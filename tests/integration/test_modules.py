# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module against a real server: check mode, run, run again, and read back independently."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support import canary, spreadsheet
from support.lab import write_phones
from support.node import RunningNode
from support.plays import play, rhythm
from support.requesting import PASSWORD
from support.rollouts import numbers
from support.waiting import until

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
STRING = "By Authentication String"


def add(node: RunningNode, *names: str, **settings: Any) -> None:
    """Register phones by the API."""
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **settings} for name in names]})


def command_lines() -> list[str]:
    """Return the command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes().decode(errors="replace"))
    return lines


def test_capf_service_starts_and_stops(node: RunningNode) -> None:
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"CAPF Phone Port": node.capf_port}})
    rhythm(node, "ucm.capf.capf_service", {"state": "started"})
    assert node.ok("GET", "/service")["running"] is True
    rhythm(node, "ucm.capf.capf_service", {"state": "stopped"})
    assert node.ok("GET", "/service")["running"] is False


def test_p36_capf_service_says_why_what_is_activated_does_not_run(node: RunningNode) -> None:
    (current,), _output = play(node, {"ucm.capf.capf_service": {"state": "restarted", "only_if_required": True}})
    assert current["failed"] and "not activated" in current["msg"]
    node.activate()
    node.stop()
    with socket.create_server(("127.0.0.1", node.capf_port)):
        node.start()
        for options in ({"state": "started"}, {"state": "restarted", "only_if_required": True}):
            (taken,), _output = play(node, {"ucm.capf.capf_service": options})
            assert taken["failed"] and "cannot listen" in taken["msg"]
        (shown,), _output = play(node, {"ucm.capf.capf_service_info": {}})
        assert shown["service"]["activated"] and "cannot listen" in shown["service"]["problem"]
    until(lambda: node.ok("GET", "/service")["running"], 15)


def test_capf_service_restarts_where_a_restart_is_due(node: RunningNode) -> None:
    node.activate()
    node.ok("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}})
    assert node.ok("GET", "/service")["restart_required"] is True
    rhythm(node, "ucm.capf.capf_service", {"state": "restarted", "only_if_required": True})
    assert node.ok("GET", "/service")["restart_required"] is False
    (result,), _output = play(node, {"ucm.capf.capf_service": {"state": "restarted"}})
    assert result["changed"] and result["restarted"]


def test_capf_service_info_shows_state_and_parameters(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}, "check_mode": True})
    assert result["service"] == node.ok("GET", "/service")
    assert result["service_parameters"]["active"] is False
    assert len(result["enterprise_parameters"]["parameters"]) == 5


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("service", {"Key Size": 3072, "Duration Of Certificate Validity": 2}),
        ("enterprise", {"Enable IPv6": True, "CAPF Operation Expires in (days)": 3}),
    ],
)
def test_r25_parameters_are_set(node: RunningNode, kind: str, parameters: dict[str, Any]) -> None:
    _check, real, _again = rhythm(node, f"ucm.capf.{kind}_parameters", {"parameters": parameters})
    assert real["after"] == parameters
    shown = {item["name"]: item["value"] for item in node.ok("GET", f"/{kind}-parameters")["parameters"]}
    assert parameters.items() <= shown.items()


def test_phones_are_registered_changed_and_removed(node: RunningNode) -> None:
    wanted = [{"device_name": A, "description": "One", "mic": True}, {"device_name": B}]
    _check, real, again = rhythm(node, "ucm.capf.phones", {"phones": wanted})
    assert real["counts"] == {"created": 2, "updated": 0, "removed": 0, "unchanged": 0}
    assert again["counts"]["unchanged"] == 2
    assert node.phone(A)["description"] == "One"
    rhythm(node, "ucm.capf.phones", {"phones": [{"device_name": A, "key_order": "EC Only"}]})
    assert (node.phone(A)["key_order"], node.phone(A)["description"]) == ("EC Only", "One")
    rhythm(node, "ucm.capf.phones", {"phones": [{"device_name": B}], "state": "absent"})
    assert node.ok("POST", "/phones/find", {})["total"] == 1


def test_phones_come_from_a_csv_file(node: RunningNode) -> None:
    rows: list[dict[str, Any]] = [
        {"device_name": A, "description": "Bär, 1. OG", "key_size": 3072, "mic": "true", "lab_behaviour": "slow"},
        {"device_name": B, "description": "", "key_size": "", "mic": "no", "lab_behaviour": ""},
    ]
    write_phones(node.directory / "phones.csv", rows)
    rhythm(node, "ucm.capf.phones", {"csv_file": "phones.csv"})
    shown = node.phone(A)
    assert (shown["description"], shown["key_size"], shown["mic"]) == ("Bär, 1. OG", 3072, True)


def test_phones_info_finds(node: RunningNode) -> None:
    add(node, A, B, device_pool="Berlin")
    add(node, C, device_pool="Oslo")
    criteria = [{"field": "device_pool", "pattern": "begins with", "value": "Ber"}]
    search = {"criteria": criteria, "sort": "device_name", "descending": True, "rows_per_page": 1, "page": 2}
    (result,), _output = play(node, {"ucm.capf.phones_info": search})
    assert (result["changed"], result["total"], result["phones"][0]["device_name"]) == (False, 2, A)


def test_phone_operations_are_scheduled_and_cancelled(node: RunningNode) -> None:
    add(node, A, B, C)
    _check, real, again = rhythm(node, "ucm.capf.phone_operations", {"phones": [A, B]})
    assert (real["scheduled"], again["pending"]) == ([A, B], [A, B])
    assert node.phone(A)["certificate_operation"] == "Install/Upgrade"
    cancel = {"phones": [A, C], "operation": "No Pending Operation"}
    _check, real, _again = rhythm(node, "ucm.capf.phone_operations", cancel)
    assert (real["cancelled"], real["skipped_because"]) == ([A], {"no pending operation": 1})
    assert node.phone(A)["certificate_operation"] == "No Pending Operation"


def test_phone_operations_take_strings_and_settings_from_a_csv_file(node: RunningNode) -> None:
    add(node, A, B, C, authentication_mode=STRING)
    rows: list[dict[str, Any]] = [
        {"device_name": A, "authentication_string": canary.STRING, "key_size": 3072},
        {"device_name": B, "authentication_string": "", "key_size": ""},
        {"device_name": C, "authentication_string": "", "key_size": ""},
    ]
    write_phones(node.directory / "phones.csv", rows)
    wanted = {"csv_file": "phones.csv", "only": [A, B]}
    _check, real, _again = rhythm(node, "ucm.capf.phone_operations", wanted)
    assert real["scheduled"] == [A, B]
    assert node.phone(A)["authentication_string"] == canary.STRING
    assert len(node.phone(B)["authentication_string"]) == 8
    assert node.phone(C)["operation_status"] == "None"


def test_r15_phone_operations_warn_of_strings_with_encrypted_configuration(node: RunningNode) -> None:
    add(node, A, authentication_mode=STRING)
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"TFTP Encrypted Config": True}})
    (result,), output = play(node, {"ucm.capf.phone_operations": {"phones": [A]}})
    assert result["changed"] and "may not recover until the string is entered" in " ".join(output.split())


def test_phone_operations_wait_shows_progress_until_the_time_is_up(node: RunningNode) -> None:
    add(node, A, B)
    node.schedule(A)
    wait = {"phones": [A, B], "wait_timeout": 6, "progress_interval": 1}
    (result, once), output = play(
        node, {"ucm.capf.phone_operations_wait": wait}, {"ucm.capf.phone_operations_wait": wait, "check_mode": True}
    )
    assert (result["changed"], result["ended"], result["in_flight_phones"]) == (False, False, [A])
    assert result["counts"] == numbers(in_flight=1, skipped=1) | {"lsc_installed": 0}
    assert result["waited_seconds"] >= 5 > once["waited_seconds"]
    assert output.count("done 0, failed 0, in flight 1, skipped 1, time left") >= 2


def test_r28_phone_reset_asks_the_call_processor(node: RunningNode) -> None:
    add(node, A)
    calls = node.directory / "calls"
    text = node.config.read_text()
    start = text.index("[reset]")
    node.config.write_text(text[:start] + f'[reset]\ncommand = ["/bin/sh", "-c", "echo $0 >> {calls}", "{{name}}"]\n')
    node.stop()
    node.start()
    task = {"ucm.capf.phone_reset": {"phones": [A]}}
    (check, real), _output = play(node, {**task, "check_mode": True}, task)
    assert check["changed"] and real["changed"]
    assert calls.read_text() == f"{A}\n"


def test_r28_a_phone_that_cannot_be_reset_is_named(node: RunningNode) -> None:
    add(node, A)
    (result,), _output = play(node, {"ucm.capf.phone_reset": {"phones": [A]}})
    assert result["failed"] and result["counts"] == {"reset": 0, "failed": 1}
    assert result["failed_phones"][0]["device_name"] == A


def test_r30_report_writes_a_file_for_its_owner_alone(node: RunningNode) -> None:
    add(node, A, authentication_mode=STRING)
    add(node, B)
    node.schedule(A, B)
    _check, real, _again = rhythm(node, "ucm.capf.report", {"dest": "report.csv"})
    path = node.directory / "report.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    rows = spreadsheet.opened(path.read_text())
    string = node.phone(A)["authentication_string"]
    assert [row["Authentication String"] for row in rows] == [string, ""]
    assert real["phones"] == 2 and string not in str(real)
    rhythm(node, "ucm.capf.report", {"dest": "report.csv", "authentication_strings": "hide"})
    assert string not in path.read_text()


def test_r30_report_is_not_written_in_check_mode(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.report": {"dest": "report.csv"}, "check_mode": True})
    assert result["changed"] and not (node.directory / "report.csv").exists()


def test_p13_r14_no_secret_in_any_output_log_or_file(node: RunningNode) -> None:
    add(node, A, authentication_mode=STRING)
    write_phones(node.directory / "phones.csv", [{"device_name": A, "authentication_string": canary.STRING}])
    tasks: list[dict[str, Any]] = [
        {"ucm.capf.phones": {"csv_file": "phones.csv"}},
        {"ucm.capf.phone_operations": {"csv_file": "phones.csv"}},
        {"ucm.capf.phones_info": {}},
        {"ucm.capf.report": {"dest": "report.csv"}},
    ]
    results, output = play(node, *tasks, options=("-vvv", "--diff"))
    assert not any(result.get("failed") for result in results)
    assert (node.directory / "report.csv").read_text().count(canary.STRING) == 1
    for secret in (PASSWORD, canary.STRING):
        assert secret not in output and secret not in str(results) and secret not in node.log.read_text()
        files = [path for path in node.state.rglob("*") if path.is_file()]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert not [line for line in command_lines() if secret in line]


def test_a_phones_list_of_thousands_is_one_request(node: RunningNode) -> None:
    names = [f"SEP{index:012X}" for index in range(3000)]
    add(node, *names)
    _check, real, _again = rhythm(node, "ucm.capf.phone_operations", {"phones": names})
    assert len(real["scheduled"]) == 3000 and len(real["results"]) == 100
    assert real["diff"]["after"].endswith("... and 2900 more phones\n")


def test_ansible_finds_the_csv_file_where_the_module_runs(node: RunningNode, tmp_path: Path) -> None:
    (result,), _output = play(node, {"ucm.capf.phones": {"csv_file": str(tmp_path / "none.csv")}})
    assert result["msg"] == f"csv_file: '{tmp_path}/none.csv' cannot be read: No such file or directory"
