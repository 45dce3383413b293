"""A backup of a live server under load is restored to a state in which nothing is lost (P26, R20)."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from support.client import Client
from support.node import CAPF, RunningNode

NAMES = [f"SEP{index:012X}" for index in range(60)]


def capf(*arguments: str | Path, status: int = 0) -> str:
    """Run the command; returns what it says."""
    done = subprocess.run([CAPF, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def enrol(node: RunningNode, name: str) -> bytes:
    """Lead a whole session; returns the LSC."""
    client = Client(node.capf_port, name)
    client.authenticate()
    der = client.send_key()
    client.confirm()
    client.close()
    return der


def test_p26_r20_a_backup_under_load_is_restored(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node").start()
    node.activate()
    settings = {"key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **settings} for name in NAMES]})
    node.schedule(*NAMES)
    load = threading.Thread(target=lambda: [enrol(node, name) for name in NAMES[:40]])
    load.start()
    archive = tmp_path / "backup.tar.gz"
    assert "holds" in capf("backup", "--config", node.config, "--to", archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    load.join()
    node.stop()
    certificate = node.capf_certificate.read_bytes()
    node.state.rename(tmp_path / "lost")
    assert "restored" in capf("restore", "--config", node.config, "--from", archive)
    node.start()
    assert node.capf_certificate.read_bytes() == certificate
    pending = [name for name in NAMES if node.phone(name)["certificate_operation"] != "No Pending Operation"]
    assert set(NAMES[40:]) <= set(pending)
    for name in pending:
        enrol(node, name)
    assert node.wait(*NAMES)["by_status"] == {"Upgrade Success": len(NAMES)}
    serials = [node.phone(name)["lsc_serial_number"] for name in NAMES]
    assert len(set(serials)) == len(NAMES)
    assert "as it was written" in capf("audit", "verify", "--config", node.config)
    node.stop()


def test_a_restore_never_replaces_what_is_there(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--config", node.config, "--to", archive)
    assert "already holds" in capf("restore", "--config", node.config, "--from", archive, status=1)
    assert "is there already" in capf("backup", "--config", node.config, "--to", archive, status=1)
    node.state.rename(tmp_path / "gone")
    archive.write_bytes(b"junk")
    assert "cannot be restored" in capf("restore", "--config", node.config, "--from", archive, status=1)
    assert not (node.state / "capf.key").exists()
