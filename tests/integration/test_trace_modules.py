# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace settings and trace files by API, modules and command line, on real servers (R21, R27)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeWorld
from support.canary import STRING
from support.client import Client
from support.node import CAPF, RunningNode
from support.plays import play, rhythm
from support.requesting import PASSWORD

A = "SEP00000000000A"
MODULE = "ucm.capf.trace"
MEGABYTE = 1024 * 1024
DEFAULTS = {
    "trace_on": True, "debug_trace_level": "Significant", "maximum_number_of_files": 50, "maximum_file_size": 2,
}  # fmt: skip


def log(node: RunningNode) -> Path:
    """Return the current trace file."""
    return node.state / "trace" / "capf.log"


def capf_trace(node: RunningNode, verb: str, *names: str) -> subprocess.CompletedProcess[str]:
    """Run ``capf trace``."""
    argv: list[str | Path] = [CAPF, "trace", verb, "--config", node.config, *names]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def session(node: RunningNode, password: str = "") -> str:
    """Run a phone's session; return its id in the form of trace lines."""
    client = Client(node.capf_port, A)
    client.authenticate(password)
    client.close()
    return f"session={client.session_id:08x}"


def settings(node: RunningNode) -> dict[str, Any]:
    """Return the settings in effect, by name."""
    return {item["name"]: item["in_force"] for item in node.ok("GET", "/trace")["settings"]}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """An activated node that knows one phone, whose operation waits for a string."""
    running = RunningNode(tmp_path_factory.mktemp("trace") / "node").start()
    running.activate()
    running.ok("POST", "/phones", {"phones": [{"device_name": A, "authentication_mode": "By Authentication String"}]})
    item = {"device_name": A, "authentication_string": STRING}
    running.ok("POST", "/operations", {"operation": "Install/Upgrade", "items": [item]})
    yield running
    running.stop()


@pytest.fixture
def node(started: RunningNode) -> RunningNode:
    """The same node with the default trace settings."""
    started.ok("PUT", "/trace", DEFAULTS)
    return started


def test_r21_every_setting_has_help_default_and_range(node: RunningNode) -> None:
    shown = node.ok("GET", "/trace")
    assert {item["name"]: item["default"] for item in shown["settings"]} == DEFAULTS
    for item in shown["settings"]:
        assert item["help"].endswith(".") and item["value"] == item["in_force"] == item["default"]
        assert isinstance(item["default"], bool) or item["choices"] or item["maximum"]
    assert shown["problem"] == ""


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("debug_trace_level", "Loud", "Error, Special, Significant, Detailed"),
        ("maximum_number_of_files", 1, "a whole number from 2 to 500"),
        ("maximum_file_size", 11, "a whole number from 1 to 10"),
        ("maximum_file_size", "2", "a whole number"),
        ("trace_on", "yes", "true or false"),
    ],
)
def test_r21_a_setting_that_is_not_allowed_is_named(node: RunningNode, name: str, value: object, allowed: str) -> None:
    before = node.ok("GET", "/trace")
    status, answer = node.api("PUT", "/trace", {"trace_on": False, name: value})
    assert status == 422
    message = f"{str(value)!r} is refused; allowed: {allowed}"
    assert answer["error"]["problems"] == [{"field": name, "value": str(value), "message": message}]
    assert node.ok("GET", "/trace") == before


def test_r21_a_change_is_in_force_at_once(node: RunningNode) -> None:
    one = session(node, STRING)
    text = log(node).read_text()
    assert f"{one} event=claim" in text and "level=DEBUG" not in text
    node.ok("PUT", "/trace", {"debug_trace_level": "Error"})
    two = session(node)
    node.ok("PUT", "/trace", {"debug_trace_level": "Detailed"})
    three = session(node, STRING)
    node.ok("PUT", "/trace", {"trace_on": False})
    four = session(node)
    node.ok("PUT", "/trace", {"trace_on": True, "debug_trace_level": "Significant"})
    five = session(node)
    text = log(node).read_text()
    assert two not in text and four not in text and f"{five} event=claim" in text
    assert re.search(f"level=DEBUG .*{three} event=claim operation=[0-9]+ result='Install/Upgrade'", text)
    said = node.log.read_text()
    assert all(f"{name} event=claim " in said for name in (one, two, three, four, five))
    assert "level=DEBUG" not in said


def test_r21_settings_outlive_the_process_and_a_dry_run_changes_none(node: RunningNode) -> None:
    node.ok("PUT", "/trace", {"debug_trace_level": "Special", "maximum_number_of_files": 3})
    assert node.ok("PUT", "/trace", {"maximum_file_size": 5, "trace_on": False, "dry_run": True})["changed"]
    before, starts = log(node).read_text(), node.log.read_text().count("event=ready")
    node.stop()
    node.start()
    assert settings(node) == {**DEFAULTS, "debug_trace_level": "Special", "maximum_number_of_files": 3}
    assert node.log.read_text().count("event=ready") == starts + 1 and log(node).read_text() == before


def test_r21_trace_files_are_bounded_by_number_and_size(node: RunningNode) -> None:
    directory = node.state / "trace"
    node.ok("PUT", "/trace", {"maximum_number_of_files": 5, "maximum_file_size": 1})
    for _round in range(6):
        with log(node).open("a") as file:
            file.write("x" * MEGABYTE)
        last = session(node)
        assert last in log(node).read_text() and log(node).stat().st_size < MEGABYTE
    names = ["capf.log", "capf.log.1", "capf.log.2", "capf.log.3", "capf.log.4"]
    assert [item["name"] for item in node.ok("GET", "/trace/files")["files"]] == names
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    node.ok("PUT", "/trace", {"maximum_number_of_files": 2})
    assert sorted(path.name for path in directory.iterdir()) == names[:2]


def test_r21_a_trace_that_cannot_be_written_disturbs_no_phone(node: RunningNode) -> None:
    node.ok("PUT", "/trace", {"trace_on": False})
    log(node).unlink(missing_ok=True)
    log(node).mkdir()
    node.ok("PUT", "/trace", {"trace_on": True})
    assert f"{session(node)} event=claim" in node.log.read_text()
    assert node.ok("GET", "/trace")["problem"] == "capf.log cannot be written"
    log(node).rmdir()
    assert session(node) in log(node).read_text()
    assert node.ok("GET", "/trace")["problem"] == ""


def test_r21_trace_files_are_read_by_api_module_and_command_line(node: RunningNode) -> None:
    name = session(node, STRING)
    files = [item["name"] for item in node.ok("GET", "/trace/files")["files"]]
    assert files[0] == "capf.log" and capf_trace(node, "list").stdout.split()[2::3] == files
    shown = capf_trace(node, "show", "capf.log").stdout
    assert f"{name} event=claim" in shown and PASSWORD not in shown and STRING not in shown
    assert node.ok("GET", "/trace/files/capf.log") == shown
    (result,), _output = play(node, {"ucm.capf.trace_info": {"name": "capf.log", "last": 1}})
    assert result["content"] == shown.splitlines(keepends=True)[-1] and not result["changed"]
    assert [item["name"] for item in result["files"]] == files
    assert result["settings"] == node.ok("GET", "/trace")["settings"]


def test_r21_nothing_but_trace_files_is_read(node: RunningNode) -> None:
    link = node.state / "trace" / f"{A}-LSC.txt"
    link.symlink_to(node.state / "capf.key")
    (node.state / "trace" / "capf.key").write_text("secret")
    for name in ("../capf.key", "..%2Fcapf.key", "%2Fetc%2Fpasswd", "capf.key", "capf.log.0", "capf.log%0A", link.name):
        status, answer = node.api("GET", f"/trace/files/{name}")
        assert status == 404 and "secret" not in str(answer) and "PRIVATE" not in str(answer), name
    for name in ("../capf.key", link.name):
        refused = capf_trace(node, "show", name)
        assert refused.returncode == 1 and "choose one from capf trace list" in refused.stderr
    (result,), _output = play(node, {"ucm.capf.trace_info": {"name": "../capf.key"}})
    assert result["failed"]
    link.unlink()


def test_r21_an_unknown_setting_is_named_without_its_value(node: RunningNode) -> None:
    """An unknown name may be a misspelt one of a secret."""
    status, answer = node.api("PUT", "/trace", {"trace_on": False, "colour": "red"})
    message = "unknown field; correct or remove it"
    assert status == 422
    assert answer["error"]["problems"] == [{"field": "colour", "value": "(hidden)", "message": message}]


def test_r21_trace_by_module(node: RunningNode) -> None:
    wanted = {"debug_trace_level": "Detailed", "maximum_number_of_files": 20, "trace_on": True}
    check, real, _again = rhythm(node, MODULE, wanted)
    after = {"debug_trace_level": "Detailed", "maximum_number_of_files": 20}
    assert check["after"] == real["after"] == after
    assert settings(node) == {"maximum_file_size": 2, **wanted}
    (refused,), _output = play(node, {MODULE: {"maximum_number_of_files": 1000}})
    assert refused["failed"] and "maximum_number_of_files: '1000' is refused" in refused["msg"]


def test_r27_the_files_of_troubleshoot_are_its_owners_alone_and_can_be_read(make_world: MakeWorld) -> None:
    node, lab = make_world([{"device_name": A, "mic": True, "authentication_mode": "By Null String"}])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    node.schedule(A, operation="Troubleshoot")
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Troubleshoot Success": 1}
    (info,), _output = play(node, {"ucm.capf.trace_info": {"name": f"{A}-LSC.txt"}})
    kinds = {item["name"]: item["kind"] for item in info["files"]}
    assert kinds == {"capf.log": "trace", f"{A}-LSC.txt": "Troubleshoot", f"{A}-MIC.txt": "Troubleshoot"}
    for name in (f"{A}-LSC.txt", f"{A}-MIC.txt"):
        assert (node.state / "trace" / name).stat().st_mode & 0o777 == 0o600
        text = capf_trace(node, "show", name).stdout
        assert f"device name: {A}" in text and "BEGIN CERTIFICATE" in text
        assert text == node.ok("GET", f"/trace/files/{name}")
    assert info["content"] == node.ok("GET", f"/trace/files/{A}-LSC.txt")
