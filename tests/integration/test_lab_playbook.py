# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook that runs simulated phones, as somebody who has only the collection uses it (P60)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from support.node import RunningNode, free_ports
from support.playbooks import playbook
from support.plays import ROOT

A = "SEP00000000000A"


def test_p60_a_rehearsal_needs_the_collection_alone(node: RunningNode, tmp_path: Path) -> None:
    node.activate()
    node.ok("PUT", "/ctl-file", {})
    node.ok("POST", "/phones", {"phones": [{"device_name": A, "key_order": "EC Only", "ec_key_size": 256}]})
    (node.directory / "phones.csv").write_text(f"device_name\n{A}\n")
    lab = tmp_path / "lab"
    (port,) = free_ports(1)
    variables: dict[str, Any] = {
        "lab_phones": "phones.csv",
        "lab_directory": str(lab),
        "lab_python": sys.executable,
        "lab_files_server": node.files_server,
        "lab_control": f"127.0.0.1:{port}",
        "lab_wheelhouse_cache": str(ROOT / ".cache" / "wheelhouse"),
    }
    try:
        status, output = playbook(node, "lab", **variables)
        assert status == 0, output
        status, output = playbook(node, "lab", **variables)
        assert status == 0 and "changed=0" in output, output
        node.schedule(A)
        argv: list[str | Path] = [lab / "program/venv/bin/capf-lab", "reset", "--control", f"127.0.0.1:{port}", A]
        subprocess.run(argv, check=True)
        node.wait(A)
        assert node.phone(A)["lsc"] == "Installed"
    finally:
        status, output = playbook(node, "lab", lab_state="stopped", lab_directory=str(lab))
    assert status == 0 and "changed=1" in output, output
    pid = (lab / "lab.pid").read_text().strip()
    assert not Path("/proc", pid).exists()
