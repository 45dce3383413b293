# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as CSV, JSON and a page, streamed to a file that only its owner can read (R30)."""

from __future__ import annotations

import json
import re

import pytest

from support import spreadsheet
from support.node import RunningNode
from support.page import Page
from support.plays import play, rhythm

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
STRING = "By Authentication String"
MODULE = "ucm.capf.report"
NOBODY = {"field": "lsc_status", "pattern": "is empty"}


@pytest.fixture
def phones(node: RunningNode) -> RunningNode:
    """A node with three phones, one of which waits for a string."""
    known = [
        {"device_name": A, "authentication_mode": STRING, "description": '<script>alert("x")</script>'},
        {"device_name": B, "description": 'one "two"\nthree, four'},
        {"device_name": C},
    ]
    node.ok("POST", "/phones", {"phones": known})
    node.schedule(A)
    return node


@pytest.mark.parametrize("kind", ["csv", "json", "html"])
def test_r30_each_format_is_written_for_its_owner_alone(phones: RunningNode, kind: str) -> None:
    string = phones.phone(A)["authentication_string"]
    _check, real, _again = rhythm(phones, MODULE, {"dest": f"report.{kind}", "format": kind})
    path = phones.directory / f"report.{kind}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert real["phones"] == 3 and real["diff"] == {"before": "phones: 0\n", "after": "phones: 3\n"}
    assert string in path.read_text() and string not in str(real)
    path.chmod(0o644)
    hidden = {"dest": f"report.{kind}", "format": kind, "authentication_strings": "hide"}
    rhythm(phones, MODULE, hidden)
    assert path.stat().st_mode & 0o777 == 0o600 and string not in path.read_text()


def test_r30_csv_and_json_have_what_the_server_shows(phones: RunningNode) -> None:
    play(phones, *({MODULE: {"dest": f"report.{kind}", "format": kind}} for kind in ("csv", "json")))
    shown = phones.ok("POST", "/phones/find", {"authentication_strings": True})["phones"]
    assert json.loads((phones.directory / "report.json").read_text()) == shown
    rows = spreadsheet.opened((phones.directory / "report.csv").read_text())
    assert [(row["Device Name"], row["Description"]) for row in rows] == [
        (phone["device_name"], phone["description"]) for phone in shown
    ]


def test_r30_the_page_needs_nothing_else_and_escapes_what_it_shows(phones: RunningNode) -> None:
    play(phones, {MODULE: {"dest": "report.html", "format": "html", "criteria": [NOBODY]}})
    assert Page((phones.directory / "report.html").read_text()).cells == []
    play(phones, {MODULE: {"dest": "report.html", "format": "html"}})
    text = (phones.directory / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags and page.links == [] and "url(" not in text and "@import" not in text
    assert page.tags.count("svg") == 2 and '<script>alert("x")</script>' in page.cells
    assert {A, B, C} <= set(page.cells)
    assert re.search(r"aria-label=\"Operation Pending: 1\"", text)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_r30_a_file_that_cannot_be_written_is_named(phones: RunningNode) -> None:
    (result,), _output = play(phones, {MODULE: {"dest": "/proc/report.csv"}})
    # Modes do not restrict root; only a write shows that it is impossible.
    assert result["failed"] and re.search("'/proc.* writ", result["msg"])
    directory = str(phones.directory)
    for dest, said in (
        ("/nonexistent/x.csv", "dest: the directory of '/nonexistent/x.csv' does not exist"),
        (directory, f"dest: '{directory}' is a directory; give a file"),
    ):
        task = {MODULE: {"dest": dest}}
        (check, real), _output = play(phones, {**task, "check_mode": True}, task)
        assert check["failed"] and check["msg"] == real["msg"]
        assert said in real["msg"]
