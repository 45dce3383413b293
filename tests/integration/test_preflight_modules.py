# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checklist by module, role and playbook against a real server (R22, R33)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import spreadsheet
from support.node import RunningNode
from support.plays import ansible_playbook, extra_vars, interpreter, play
from support.requesting import PASSWORD

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"


def preflight(node: RunningNode, *options: str, **variables: Any) -> tuple[int, str]:
    """Run the playbook; return its exit status and its output on one line."""
    trust = str(node.state / "administration.crt")
    given = {"capf_port": node.port, "capf_password": PASSWORD, "capf_ca_path": trust, **variables}
    files = extra_vars(node.directory, {"ansible_python_interpreter": interpreter(), **given})
    status, output = ansible_playbook("ucm.capf.preflight", *files, *options, cwd=node.directory)
    return status, " ".join(output.split())


def test_preflight_info_says_what_to_do_and_changes_nothing(node: RunningNode) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    before = node.ok("GET", "/service")
    task = {"ucm.capf.preflight_info": {"phones": [A, C], "parameters": {"Key Size": 3072}}}
    (check, real), _output = play(node, {**task, "check_mode": True}, task)
    assert check == real and not real["changed"]
    items = {item["name"]: item for item in real["checklist"]}
    assert real["result"] == items["CAPF service"]["result"] == items["Parameters"]["result"] == "failed"
    assert items["CAPF service"]["todo"].startswith("ucm.capf.capf_service with state started")
    assert (real["lsc_not_installed"], real["unknown"]) == ([A], [C])
    assert node.ok("GET", "/service") == before


def test_preflight_info_names_a_parameter_that_cannot_be(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.preflight_info": {"parameters": {"Key Size": 17}}})
    assert result["failed"] and "parameters.Key Size: '17' is refused; allowed: 512, 1024" in result["msg"]


def test_r22_r33_the_playbook_shows_the_checklist_and_fails_until_all_is_ready(node: RunningNode) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": A}, {"device_name": B}]})
    (node.directory / "phones.csv").write_text(f"device_name\n{A}\n{B}\n")
    wanted = {"preflight_csv_file": str(node.directory / "phones.csv"), "preflight_parameters": {"Key Size": 3072}}
    status, output = preflight(node, **wanted)
    assert status == 2 and "[failed] 2 CAPF service: CAPF is not activated -> ucm.capf.capf_service" in output
    assert "CAPF is not ready. CAPF service: CAPF is not activated. To do: ucm.capf.capf_service" in output
    assert "Parameters: Key Size is 2048, expected is 3072" in output
    node.ok("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}})
    node.activate()
    report = node.directory / "report.csv"
    status, output = preflight(node, **wanted, preflight_report=str(report))
    assert status == 0 and "[ok] 1 LSC on the phones: 0 phones with an LSC, 2 without" in output, output
    assert "[ok] 2 CAPF service" in output and "[ok] 4 Parameters" in output
    rows = {row["Device Name"]: row["LSC"] for row in spreadsheet.opened(report.read_text())}
    assert rows == {A: "Not Installed", B: "Not Installed"}


def test_r22_a_server_without_reset_command_is_reported_before_phones_are_to_be_reset(node: RunningNode) -> None:
    wanted: dict[str, Any] = {"ucm.capf.preflight_info": {"reset": True}}
    (able,), _output = play(node, wanted)
    node.stop()
    node.configure("reset", command=[]).start()
    (unable, unasked), _output = play(node, wanted, {"ucm.capf.preflight_info": {}})
    results = [{item["name"]: item for item in result["checklist"]} for result in (able, unable, unasked)]
    assert [items["Reset command"]["result"] for items in results] == ["ok", "failed", "ok"]
    assert "capf_server_reset_command" in results[1]["Reset command"]["todo"]


def test_a_warning_fails_where_that_is_wanted(node: RunningNode) -> None:
    node.activate()
    assert preflight(node)[0] == 0
    status, output = preflight(node, preflight_warnings_fail=True)
    assert status == 2 and "CAPF data: no phone is registered with the server. To do: ucm.capf.phones" in output


def item(node: RunningNode, name: str) -> dict[str, Any]:
    """Return one item of the checklist."""
    return next(entry for entry in node.ok("POST", "/preflight", {})["checklist"] if entry["name"] == name)


def test_r22_r33_the_ctl_file_has_to_list_the_capf_certificate(node: RunningNode) -> None:
    missing = item(node, "CTL file")
    assert missing["result"] == "warning" and missing["todo"].startswith("ucm.capf.ctl_file")
    node.ok("PUT", "/ctl-file", {})
    node.activate()
    outdated = item(node, "CTL file")
    assert outdated["result"] == "failed" and "CAPF was activated after the CTL file was made" in outdated["message"]
    status, output = preflight(node)
    assert status == 2 and "CTL file: it is outdated" in output
    node.ok("PUT", "/ctl-file", {})
    assert item(node, "CTL file")["result"] == "ok" and preflight(node)[0] == 0


def test_r17_a_node_with_another_password_is_named_before_anything_changes(node: RunningNode, tmp_path: Path) -> None:
    further = {
        name: RunningNode(tmp_path / name, first_node=False, password=password).start()
        for name, password in (("like", PASSWORD), ("other", "another-password"))
    }
    try:
        for name, running in further.items():
            pem = (running.state / "administration.crt").read_text()
            address = {"administration_address": "127.0.0.1", "administration_port": running.port}
            node.ok("PUT", "/nodes", {"nodes": [{"name": name, **address, "administration_certificate": pem}]})
        node.activate()
        refused = item(node, "Administrator on all nodes")
        assert refused["result"] == "failed" and "like" not in refused["message"]
        status, output = preflight(node)
        assert status == 2 and "other: it has a different administrator name or password. To do: give all" in output
        assert PASSWORD not in output
        node.ok("PUT", "/nodes", {"nodes": [{"name": "other"}], "state": "absent"})
        assert item(node, "Administrator on all nodes")["message"] == "the same name and password on 1 subscriber"
        further["like"].stop()
        unreachable = item(node, "Administrator on all nodes")
        assert unreachable["result"] == "warning" and unreachable["message"].startswith("like: it cannot be reached")
    finally:
        for running in further.values():
            if running.process is not None and running.process.poll() is None:
                running.stop()
