# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command of the site stores the files of a run elsewhere, so that they survive a container (P59)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.node import RunningNode
from support.playbooks import playbook

PHONE = "SEP00000000000A"
PACE: dict[str, Any] = {"wave_seconds": 1, "retries": 0, "failure_limit": "100%", "reset": False}
KEPT = {"capf-report.csv", "not-entered.txt", "rollout.csv", "rollout.html", "summary.json"}


def rollout(node: RunningNode, **variables: Any) -> tuple[int, str]:
    """Roll out to one phone that waits for its string, and is off."""
    given = {f"lsc_rollout_{name}": value for name, value in {**PACE, **variables}.items()}
    return playbook(node, "rollout", lsc_rollout_phones_from={"phones": [PHONE]}, **given)


def kept(place: Path) -> set[str]:
    """Return the names of stored files, after checking that only their owner can read them."""
    assert {path.stat().st_mode & 0o077 for path in place.iterdir()} == {0}
    return {path.name for path in place.iterdir()}


def test_p59_backup_strings_and_reports_of_a_rollout_are_stored_elsewhere(node: RunningNode) -> None:
    node.activate()
    phone = {"device_name": PHONE, "device_pool": "HQ", "authentication_mode": "By Authentication String"}
    node.ok("POST", "/phones", {"phones": [phone]})
    status, output = rollout(node, store_command=["false", "{files}"])
    assert status == 2 and "Store the files elsewhere" in output, output
    assert node.phone(PHONE)["operation_status"] == "None"
    (node.directory / "kept").mkdir()
    status, output = rollout(node, store_command=["cp", "-p", "{files}", "kept"])
    assert status == 0, output
    found = kept(node.directory / "kept")
    (backup,) = found - KEPT - {"HQ.csv"}
    assert backup.startswith("capf-") and found >= KEPT | {"HQ.csv"}


def test_p59_a_backup_and_a_report_are_stored_elsewhere(node: RunningNode) -> None:
    command = {"capf_store_command": ["cp", "-p", "{files}", "kept"]}
    (node.directory / "kept").mkdir()
    for name, given in (
        ("backup", {"backup_plain": True}),
        ("report", {}),
        ("preflight", {"preflight_report": "p.csv"}),
    ):
        _status, output = playbook(node, name, **command, **given)
        assert "Store the files elsewhere" in output, output
    found = kept(node.directory / "kept")
    assert {"capf-report.csv", "capf-report.html", "p.csv"} < found and len(found) == 4
