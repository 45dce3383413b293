# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks for everyday work against real servers and phones (R19, R20)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeWorld
from integration.test_deploy import Deployment
from support.archives import PASSPHRASE
from support.lab import RunningLab, write_phones
from support.node import LAB, RunningNode
from support.playbooks import playbook
from support.requesting import PASSWORD

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
WAY_TO_CTL_FILE = ("Settings", "**#", "Security Configuration", "CTL File")
EC = {"key_order": "EC Only", "ec_key_size": 256, "authentication_mode": "By Null String"}


def phones(*names: str) -> list[dict[str, Any]]:
    """Return phones that enrol quickly."""
    return [{"device_name": name, **EC} for name in names]


def enrol(node: RunningNode, lab: RunningLab, *names: str) -> None:
    """Install LSCs on phones."""
    node.schedule(*names)
    lab.reset(*names)
    assert node.wait(*names)["by_status"] == {"Upgrade Success": len(names)}


def test_renew_takes_what_expires_and_what_an_earlier_capf_issued(make_world: MakeWorld) -> None:
    node, lab = make_world(phones(A, B, C))
    node.ok("PUT", "/service-parameters", {"parameters": {"Duration Of Certificate Validity": 1}})
    node.ok("POST", "/service/restart", {})
    enrol(node, lab, A)
    node.ok("PUT", "/service-parameters", {"parameters": {"Duration Of Certificate Validity": 5}})
    node.ok("POST", "/service/restart", {})
    enrol(node, lab, B)
    before = {name: node.phone(name)["lsc_serial_number"] for name in (A, B)}
    status, output = playbook(node, "renew", "--check", renew_days=400)
    assert status == 0 and "LSCs that expire within 400 days: 1;" in output, output
    assert node.phone(A)["lsc_serial_number"] == before[A]
    status, output = playbook(node, "renew", renew_days=400)
    assert status == 0 and "issued by earlier CAPF certificates: 0; phones selected: 1" in output, output
    assert node.phone(A)["lsc_serial_number"] != before[A] and node.phone(B)["lsc_serial_number"] == before[B]
    assert node.phone(C)["lsc"] == "Not Installed"
    status, output = playbook(node, "renew", renew_days=400)
    assert status == 0 and "phones selected: 0" in output and "changed=0 " in output, output


@pytest.mark.parametrize("step", [{}, {"move_phones_step": "before"}, {"move_phones_step": "nonsense"}])
def test_r19_move_phones_says_what_is_missing(node: RunningNode, step: dict[str, str]) -> None:
    status, output = playbook(node, "move_phones", **step)
    assert status == 2 and "set move_phones_step to before or after" in output, output


def test_r19_lscs_are_deleted_before_a_move(make_world: MakeWorld) -> None:
    node, lab = make_world(phones(A, B, C))
    enrol(node, lab, A, B)
    status, output = playbook(node, "move_phones", move_phones_step="before", move_phones=[A, C])
    assert status == 0 and "LSCs deleted: 1; phones that had none: 1; failed or in flight: none" in output, output
    assert lab.flash(A).lsc is None and node.phone(A)["lsc"] == "Not Installed"
    assert lab.flash(B).lsc is not None and node.phone(B)["lsc"] == "Installed"


def test_r19_new_lscs_are_installed_after_a_move(make_world: MakeWorld, tmp_path: Path) -> None:
    old, lab = make_world(phones(A, B))
    enrol(old, lab, A, B)
    new = RunningNode(tmp_path / "new", manufacturing_ca=lab.manufacturing_ca)
    new.configure("reset", command=[*LAB, "reset", "--control", lab.address, "{names}"]).start()
    try:
        new.activate()
        new.ok("PUT", "/ctl-file", {})
        moved = write_phones(tmp_path / "moved.csv", phones(A, B))
        given = {"move_phones_step": "after", "move_phones": [A, B], "move_phones_csv_file": str(moved)}
        status, output = playbook(new, "move_phones", **given)
        assert status == 2 and "the CTL file on each phone" in output, output
        assert new.ok("POST", "/phones/find", {})["total"] == 0
        assert lab.press(A, WAY_TO_CTL_FILE[0], *WAY_TO_CTL_FILE[2:], "Erase") == "CTL File (locked): Installed"
        lab.move(new, A, B)
        for name in (A, B):
            assert lab.press(name, *WAY_TO_CTL_FILE, "Erase") == "CTL File: Not Installed"
        status, output = playbook(new, "move_phones", **given, move_phones_ready=True)
        assert status == 0, output
        issuer = new.ok("GET", "/capf-certificate")["current"]["common_name"]
        for name in (A, B):
            held = lab.flash(name).lsc
            assert held is not None and issuer in held.certificate.issuer.rfc4514_string()
            assert new.phone(name)["lsc"] == "Installed"
    finally:
        lab.stop()
        new.stop()


def test_troubleshoot_fetches_the_certificates_of_phones(make_world: MakeWorld) -> None:
    node, lab = make_world(phones(A))
    enrol(node, lab, A)
    status, output = playbook(node, "troubleshoot", troubleshoot_phones=[A], troubleshoot_seconds=30)
    assert status == 0 and '"Done: 1", "Failed: 0", "In flight: 0"' in output, output
    assert node.phone(A)["operation_status"] == "Troubleshoot Success"
    (file,) = (node.state / "trace").rglob(f"{A}*LSC*")
    assert file.name in output.partition("Trace files: ")[2]


def test_report_writes_each_format(node: RunningNode) -> None:
    node.ok("POST", "/phones", {"phones": phones(A, B)})
    status, output = playbook(node, "report", report_directory=str(node.directory))
    assert status == 0 and "phones: 2, in" in output, output
    assert {path.name for path in node.directory.glob("capf-report.*")} == {"capf-report.csv", "capf-report.html"}
    for wrong in ([], "csv", ["csv", "pdf"]):
        status, output = playbook(node, "report", report_directory=str(node.directory), report_formats=wrong)
        shown = json.dumps(json.dumps(wrong))[1:-1]
        assert status == 2 and f"report_formats: {shown} is refused; allowed: a list of one or more of csv" in output


def test_r20_a_backup_is_restored_on_an_empty_host(tmp_path: Path, deployment: Deployment) -> None:
    """Deploys, backs up, deletes the state, and restores only with playbooks."""
    assert deployment.run()[0] == 0
    node = Reached(deployment)
    archive, secret = tmp_path / "capf.backup", {"backup_passphrase": PASSPHRASE}
    status, output = playbook(node, "backup", **secret, backup_dest=str(archive))  # type: ignore[arg-type]
    assert status == 0 and "SHA-256" in output and PASSWORD not in output, output
    assert archive.stat().st_mode & 0o777 == 0o600
    assert PASSPHRASE not in output and b"capf.key" not in archive.read_bytes()
    certificate = (deployment.state / "capf.crt").read_bytes()
    os.kill(deployment.pid, signal.SIGTERM)
    deployment.state.rename(tmp_path / "lost")
    status, changed, output = deployment.run(
        playbook="restore", restore_archive=str(archive), restore_passphrase=PASSPHRASE
    )
    assert status == 0 and changed > 0 and "activated True, phones: 0" in " ".join(output.split()), output
    assert (deployment.state / "capf.crt").read_bytes() == certificate
    status, changed, output = deployment.run(
        playbook="restore", restore_archive=str(archive), restore_passphrase=PASSPHRASE
    )
    assert (status, changed) == (0, 0), output


class Reached:
    """The variables of a deployment for the playbooks on the control node."""

    def __init__(self, deployment: Deployment) -> None:
        self.port, self.state, self.directory = deployment.administration, deployment.state, deployment.directory


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose server is stopped at the end."""
    (tmp_path / "deployment").mkdir()
    made = Deployment(tmp_path / "deployment")
    yield made
    if (made.state / "capf.pid").exists():
        os.kill(made.pid, signal.SIGTERM)
