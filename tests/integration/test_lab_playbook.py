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
    lab = tmp_path / "lab"
    (port,) = free_ports(1)
    reset: list[str | Path] = [lab / "program/current/bin/capf-lab", "reset", "--control", f"127.0.0.1:{port}"]
    node.stop()
    node.configure("reset", command=[*map(str, reset), "{name}"]).start().activate()
    node.ok("PUT", "/ctl-file", {})
    node.ok("POST", "/phones", {"phones": [{"device_name": A, "key_order": "EC Only", "ec_key_size": 256}]})
    (node.directory / "phones.csv").write_text(f"device_name\n{A}\n")
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
        subprocess.run([*reset, A], check=True)
        node.wait(A)
        assert node.phone(A)["lsc"] == "Installed"
        old = node.phone(A)["lsc_issued_by"]
        status, output = playbook(node, "renew_capf_certificate", renew_capf_before=10000, renew_capf_pause=3)
        assert status == 0, output
        new = node.ok("GET", "/capf-certificate")["current"]["common_name"]
        issuer = node.phone(A)["lsc_issued_by"]
        assert issuer != old and issuer.startswith(f"CN={new}"), output
    finally:
        status, output = playbook(node, "lab", lab_state="stopped", lab_directory=str(lab))
    assert status == 0 and "changed=1" in output, output
    pid = (lab / "lab.pid").read_text().strip()
    assert not Path("/proc", pid).exists()
