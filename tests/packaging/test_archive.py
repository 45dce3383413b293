# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built archive: its content, its offline installation, and its use from an empty directory."""

from __future__ import annotations

import tarfile
from pathlib import Path

from support.installed import Installed
from support.node import RunningNode
from support.requesting import PASSWORD

A = "SEP00000000000A"


def test_the_archive_holds_what_runs_and_nothing_of_the_workshop(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
    assert {
        "MANIFEST.json", "plugins/modules/phones.py", "plugins/inventory/phones.py", "playbooks/rollout.yml",
        "extensions/eda/plugins/event_source/events.py", "extensions/eda/rulebooks/watch.yml",
        "server/pyproject.toml", "meta/runtime.yml", "LICENSE", "README.md",
    } - names == set()  # fmt: skip
    unwanted = ("tests/", ".ci", ".cache", ".venv", ".git", "extensions/molecule", "scripts/", "requirements/")
    assert [name for name in names if name.startswith(unwanted) or name.endswith((".pyc", ".tar.gz"))] == []


def test_the_archive_installs_offline_and_the_rollout_runs_from_it(
    archive: Path, node: RunningNode, tmp_path: Path
) -> None:
    installed = Installed(tmp_path / "installed").install(archive)
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    (installed.place / "phones.csv").write_text(f"device_name\n{A}\n")
    status, output = installed.run(
        installed.place, "rollout", "--check",
        capf_port=node.port, capf_password=PASSWORD, capf_ca_path=str(node.state / "administration.crt"),
        lsc_rollout_csv_file=str(installed.place / "phones.csv"),
    )  # fmt: skip
    assert status == 0, output
    assert "1 phone needs an LSC" in output
