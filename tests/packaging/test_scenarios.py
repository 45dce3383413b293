# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios on hosts with a real systemd: their requirements, and that none of them is forgotten."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MOLECULE = ROOT / "extensions" / "molecule"
SCENARIOS = {path.parent.name: yaml.safe_load(path.read_text()) for path in MOLECULE.glob("*/molecule.yml")}


def test_every_scenario_is_named_and_has_a_subnet_of_its_own() -> None:
    constants = runpy.run_path(str(ROOT / "scripts" / "test"))
    named = (*constants["MOLECULE_SCENARIOS"], *constants["MOLECULE_BY_HAND"])
    assert sorted(named) == sorted(SCENARIOS)
    subnets = [item["provisioner"]["inventory"]["group_vars"]["all"]["lab_subnet"] for item in SCENARIOS.values()]
    assert len(set(subnets)) == len(subnets) > 0


def test_where_hosts_cannot_run_all_that_is_missing_is_named(tmp_path: Path) -> None:
    for name in ("podman", "debootstrap"):
        (tmp_path / name).symlink_to("/bin/true")
    argv: list[str | Path] = [shutil.which("bash") or "bash", MOLECULE / "hosts" / "image"]
    done = subprocess.run(argv, env={**os.environ, "PATH": str(tmp_path)}, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert [line.rpartition(" ")[2] for line in done.stderr.splitlines()[:2]] == ["runc", "ssh-keygen"]
