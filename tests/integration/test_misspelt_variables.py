# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks refuse variables that nothing knows, before they do anything (P57)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.node import RunningNode
from support.playbooks import playbook

ROLES = sorted((Path(__file__).parents[2] / "roles").iterdir())
PLAYBOOKS = sorted((Path(__file__).parents[2] / "playbooks").glob("*.yml"))


@pytest.mark.parametrize(
    ("name", "given", "nearest"),
    [
        ("rollout", "lsc_rollout_window_strat", "lsc_rollout_window_start"),
        ("backup", "backup_passfrase", "backup_passphrase"),
        ("lab", "lab_phone", "lab_phones"),
    ],
)
def test_p57_a_playbook_refuses_a_misspelt_variable(node: RunningNode, name: str, given: str, nearest: str) -> None:
    status, output = playbook(node, name, lsc_rollout_csv_file="missing.csv", **{given: "2030-01-31T22:00"})
    assert status != 0
    assert f"no role or playbook of ucm.capf knows the variable {given}; did you mean {nearest}?" in output
    assert "changed=0" in output


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_p57_every_playbook_looks_for_misspelt_variables(path: Path) -> None:
    text = path.read_text()
    assert "ucm.capf.unknown_variables" in text or "- role: ucm.capf." in text


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.name)
def test_p57_every_role_looks_for_misspelt_variables(path: Path) -> None:
    assert "ucm.capf.unknown_variables" in (path / "tasks" / "main.yml").read_text()
