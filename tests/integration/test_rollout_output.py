# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rollout playbook prints and leaves behind, and its exit status (P58)."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integration.test_rollout import joined
from integration.test_rollout_report import enrol
from support.node import RunningNode
from support.plays import ansible_playbook, extra_vars, interpreter
from support.requesting import PASSWORD

PHONES = [f"SEP100000000{index:03X}" for index in range(600)]
LAST_LINES = 40


def run(node: RunningNode, **variables: Any) -> tuple[int, str]:
    """Run the playbook for phones that others reset; return its exit status and its output."""
    given = {
        "ansible_python_interpreter": interpreter(),
        "capf_port": node.port,
        "capf_password": PASSWORD,
        "capf_ca_path": str(node.state / "administration.crt"),
        "lsc_rollout_directory": str(node.directory / "rollout"),
        "lsc_rollout_reset": False,
        "lsc_rollout_backup": False,
        "lsc_rollout_retries": 0,
        "lsc_rollout_wave_size": "600",
        "lsc_rollout_spread_by": "none",
        "lsc_rollout_wave_seconds": 1,
        **variables,
    }
    return ansible_playbook("ucm.capf.rollout", *extra_vars(node.directory, given), cwd=node.directory)


def end_of(output: str) -> list[str]:
    """Return the lines from the heading of the summary on."""
    heading, end = output.rfind("TASK [ucm.capf.lsc_rollout : Show the summary]"), output.rstrip()
    assert heading > 0, output
    return end[heading:].splitlines()


def contents(node: RunningNode) -> dict[str, dict[str, bytes]]:
    """Return the files of each rollout's directory of reports."""
    found = sorted(path for path in (node.directory / "rollout").glob("lsc-rollout-*"))
    return {path.name: {file.name: file.read_bytes() for file in path.iterdir()} for path in found}


def test_p58_a_rollout_of_600_phones_ends_with_40_lines_and_keeps_its_reports(node: RunningNode) -> None:
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": name} for name in PHONES]})
    everybody = {"phones": PHONES}
    status, output = run(node, lsc_rollout_phones_from=everybody, lsc_rollout_failure_limit="100%")
    assert status == 0 and len(end_of(output)) <= LAST_LINES, output
    words = joined("\n".join(end_of(output)))
    assert (
        '"Asked for: 600 phones, 1 of 1 wave judged", "Done: 0", "Failed: 0", "Unreached: 600", "Skipped: 0"' in words
    )
    assert f"600 unreached: Operation Pending: {', '.join(PHONES[:3])} and 597 more. To do: the phone did not" in words
    assert "PROGRESS [wave 1 of the rollout lsc-rollout]" in output
    progress = output.index(" in flight 600, ")
    assert output.rindex("\n\n", 0, progress) == output.index("\n\nPROGRESS [")
    first = contents(node)
    (name,) = first
    assert re.fullmatch(r"lsc-rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", name)
    assert sorted(first[name]) == ["capf-report.csv", "rollout.csv", "rollout.html", "summary.json"]
    assert json.loads(first[name]["summary.json"])["unreached"] == 600

    status, output = run(node, lsc_rollout_phones_from=everybody, lsc_rollout_failure_limit="0")
    assert status == 2 and len(end_of(output)) <= LAST_LINES, output
    words = joined(output)
    assert "stopped the rollout: 600 of 600 phones not done, 0 allowed" in words
    assert "Next step: once that is fixed, run the same command again: it includes the remaining phones." in words
    second = contents(node)
    assert len(second) == 2 and second[name] == first[name]

    nobody = {"criteria": [{"field": "device_name", "pattern": "is exactly", "value": "SEP999999999999"}]}
    status, output = run(node, lsc_rollout_phones_from=nobody)
    assert status == 0 and '"Rollout lsc-rollout: nothing to do."' in output, output
    assert len(end_of(output)) <= LAST_LINES and re.search(r"changed=0 ", output), output
    assert contents(node) == second


def test_p58_a_rollout_whose_window_closes_before_its_last_wave_fails(node: RunningNode) -> None:
    node.activate()
    names, quick = PHONES[:2], {"key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **quick} for name in names]})
    begin, leader = time.time(), {"runner": "run-1", "rollout_id": 1}
    window = {"wave_seconds": 600, "window_end": datetime.fromtimestamp(begin + 615, UTC).isoformat()}
    request = {"runner": "run-1", "names": names, "wave_size": "1", "spread_by": "none", **window}
    node.ok("PUT", "/rollouts/lsc-rollout", request)
    (phone,) = node.ok("POST", "/rollouts/lsc-rollout/waves", leader)["wave"]["phones"]
    enrol(node, phone)
    node.wait(phone)
    node.ok("POST", "/rollouts/lsc-rollout/waves/1/judge", leader)
    node.ok("POST", "/rollouts/lsc-rollout/release", leader)
    time.sleep(max(0.0, begin + 16 - time.time()))
    status, output = run(node, lsc_rollout_phones_from={"phones": names})
    words = joined(output)
    assert status == 2 and "the rollout is stopped: no further wave fits into the window" in words, output
    assert '"Done: 1", "Failed: 0", "Unreached: 0", "Skipped: 1"' in words
    (directory,) = contents(node)
    assert f"Reports: {Path(node.directory) / 'rollout' / directory}" in words
