# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rollout as CSV and as a page, by the API, the module and the playbooks (R16, R30)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from capf.registry import parts
from integration.conftest import MakeWorld
from integration.test_rollout import NAMES, rollout, world
from support import spreadsheet
from support.canary import STRING
from support.client import Client
from support.node import RunningNode
from support.page import Page
from support.playbooks import playbook
from support.plays import play, rhythm

RUNNER = {"runner": "run-1"}
RUN = {**RUNNER, "rollout_id": 1}
QUICK = {"key_order": "EC Only", "ec_key_size": 256}
MODULE = "ucm.capf.rollout_report"


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a report."""
    return spreadsheet.opened(text)


def page_of(text: str) -> Page:
    """Return a report's page, after checking that it is self-contained."""
    page = Page(text)
    assert page.links == [] and not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text and "@import" not in text and "@media print" in text
    return page


def enrol(node: RunningNode, name: str, string: str = "") -> None:
    """Run a phone's session."""
    client = Client(node.capf_port, name)
    client.authenticate(string)
    client.send_key()
    client.confirm()
    client.close()


@pytest.fixture
def night(node: RunningNode) -> RunningNode:
    """A node with the first of two waves running: one phone is done, one waits for its string."""
    node.activate()
    phones: list[dict[str, Any]] = [{"device_name": name, "device_pool": "Berlin", **QUICK} for name in NAMES[:4]]
    phones[1] |= {"authentication_mode": "By Authentication String", "description": "<b>1st</b> floor"}
    node.ok("PUT", "/rollouts/night", {**RUNNER, "phones": phones, "wave_size": "2", "failure_limit": "100%"})
    node.ok("POST", "/rollouts/night/waves", {**RUN, "authentication_strings": {NAMES[1]: STRING}})
    enrol(node, NAMES[0])
    node.wait(NAMES[0])
    return node


def test_r16_the_page_has_every_section(night: RunningNode) -> None:
    page = page_of(night.ok("GET", "/rollouts/night/report"))
    assert "Rollout night: running" in page.parts[""] and "To visit" in page.parts[""]
    assert "1 pilot" not in page.parts["waves"] and "in progress" in page.parts["waves"]
    assert page.labels[1:3] == ["Wave 1: 2 phones: 1 in flight, 1 done", "Wave 2: 2 phones: 2 waiting"]
    assert [label.partition(":")[0] for label in page.labels[3:]] == [NAMES[0]]
    assert "Operation Pending the authentication string was not entered" in page.parts["failures"]
    assert page.parts["skipped"] == "Skipped, and why No phone was skipped."
    assert NAMES[0] in page.parts["slowest"] and NAMES[0] not in page.parts["visits"]
    assert f"Berlin {NAMES[1]} <b>1st</b> floor Operation Pending" in page.parts["visits"]


@pytest.mark.parametrize("kind", ["csv", "html"])
def test_r16_the_report_is_written_for_its_owner_alone_and_holds_no_string(night: RunningNode, kind: str) -> None:
    task = {"name": "night", "dest": f"night.{kind}", "format": kind}
    _check, real, _again = rhythm(night, MODULE, task)
    path = night.directory / f"night.{kind}"
    assert path.stat().st_mode & 0o777 == 0o600 and real["phones"] == 4
    assert real["diff"] == {"before": "phones: 0\n", "after": "phones: 4\n"}
    assert path.read_bytes().decode() == night.ok("GET", f"/rollouts/night/report?format={kind}")
    assert STRING not in path.read_text()
    path.chmod(0o644)
    rhythm(night, MODULE, task)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_report_that_cannot_be_is_named(night: RunningNode) -> None:
    (other, there), _output = play(
        night,
        {MODULE: {"name": "other", "dest": "other.csv"}},
        {MODULE: {"name": "night", "dest": "/proc/night.csv"}},
    )
    assert other["failed"] and "rollout 'other' does not exist" in other["msg"]
    assert not (night.directory / "other.csv").exists()
    assert there["failed"] and "directory '/proc' is not writable" in there["msg"]
    status, answer = night.api("GET", "/rollouts/night/report?format=pdf")
    assert status == 422 and answer["error"]["problems"][0]["value"] == "pdf"


def test_r16_the_report_of_a_large_rollout_has_every_phone_as_csv_and_a_bounded_page(node: RunningNode) -> None:
    node.activate()
    phones = [
        {"device_name": f"SEP{index:012X}", "device_pool": f"Site {index % 40:02d}", **QUICK} for index in range(5000)
    ]
    settings = {"wave_size": "2500", "open_sessions": 5000, "spread_by": "none"}
    node.ok("PUT", "/rollouts/night", {**RUNNER, "phones": phones, **settings})
    first = node.ok("POST", "/rollouts/night/waves", RUN)["wave"]["phones"]
    rows = rows_of(node.ok("GET", "/rollouts/night/report?format=csv"))
    assert sorted(row["Device Name"] for row in rows) == [phone["device_name"] for phone in phones]
    assert {row["Device Name"] for row in rows if row["To Visit"] == "yes"} == set(first)
    text = node.ok("GET", "/rollouts/night/report?format=html")
    page = page_of(text)
    assert len(text) < 500_000 and sum(cell in set(first) for cell in page.cells) == 1000
    assert "The first 1,000 of 2,500; the report as CSV has them all." in page.parts["visits"]
    sites = [word[:2] for word in page.parts["visits"].split("Site ")[1:]]
    assert sites == sorted(set(sites))


def reports(node: RunningNode, name: str = "lsc-rollout") -> tuple[list[dict[str, str]], Page]:
    """Return the file of a playbook, after checking that only its owner can read it."""
    (directory,) = (node.directory / "rollout").glob(f"{name}-*")
    paths = [directory / f"rollout.{kind}" for kind in ("csv", "html")]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    return rows_of(paths[0].read_text()), page_of(paths[1].read_text())


def test_r16_a_rollout_that_stopped_leaves_its_report(make_world: MakeWorld, tmp_path: Path) -> None:
    node, lab = world(make_world, tmp_path, p0="wrong_string")
    status, _output = rollout(node, lab, lsc_rollout_failure_limit="0", lsc_rollout_backup=False)
    assert status == 2
    rows, page = reports(node)
    assert [row["Device Name"] for row in rows] == NAMES
    (visit,) = [row for row in rows if row["To Visit"] == "yes"]
    assert visit["Operation Status"] == "Upgrade Failed: Invalid Authentication String" and visit["What To Do"]
    assert "Rollout lsc-rollout: stopped" in page.parts[""]
    assert "stopped the rollout: 1 of 3 phones not done, 0 allowed" in page.parts["waves"]
    assert NAMES[0] in page.parts["visits"] and "Invalid Authentication String" in page.parts["failures"]


def test_r16_an_aborted_rollout_leaves_its_report(night: RunningNode) -> None:
    status, output = playbook(night, "abort_rollout", "--check", lsc_rollout_name="night")
    assert status == 0 and "the rollout 'night' would be aborted: 1 operation cancelled." in output, output
    status, output = playbook(night, "abort_rollout", lsc_rollout_name="night")
    assert status == 0, output
    assert re.search("the rollout 'night' was aborted by admin at [^ ]+: 1 operation cancelled", output), output
    assert '"Asked for: 4 phones, 0 of 2 waves judged", "Done: 1", "Failed: 1", "Unreached: 0", "Skipped: 2"' in output
    (written,) = (night.directory / "rollout").glob("night-*")
    assert f"Reports: {written}" in output and len(list(written.iterdir())) == 3
    rows, page = reports(night, "night")
    assert [row["Part"] for row in rows] == ["done", "failed", "skipped", "skipped"]
    assert [row["Operation Status"] for row in rows][:3] == ["Upgrade Success", "None", parts.ENDED_BEFORE]
    assert "Rollout night: aborted" in page.parts[""] and "aborted by admin" in page.parts[""]
    assert night.phone(NAMES[1])["certificate_operation"] == "No Pending Operation"
    status, output = playbook(night, "abort_rollout", lsc_rollout_name="night")
    assert status == 0 and "changed=0 " in output
