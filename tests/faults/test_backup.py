# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup of a live server under load is restored without any loss (P26, R20)."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from capf.node import configuration
from capf.store import audit, schema
from capf.store.engine import Store
from support.client import Client
from support.node import CAPF, RunningNode
from support.postgresql import PostgreSQL

NAMES = [f"SEP{index:012X}" for index in range(60)]


def capf(*arguments: str | Path, status: int = 0) -> str:
    """Run the command; return its output."""
    done = subprocess.run([CAPF, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def enrol(node: RunningNode, name: str, string: str = "") -> bytes:
    """Run a complete session; return the LSC."""
    client = Client(node.capf_port, name)
    client.authenticate(string)
    der = client.send_key()
    client.confirm()
    client.close()
    return der


def use_database(node: RunningNode, url: str | None) -> None:
    """Set the database in the node's configuration, None for an SQLite database of the node."""
    lines = [line for line in node.config.read_text().splitlines() if not line.startswith("database")]
    lines.insert(1, f"database = {json.dumps(url)}" if url else "")
    node.config.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [("sqlite", "sqlite"), ("postgresql", "postgresql"), ("sqlite", "postgresql"), ("postgresql", "sqlite")],
)
def test_p26_r20_a_backup_under_load_is_restored(tmp_path: Path, cluster: PostgreSQL, before: str, after: str) -> None:
    node = RunningNode(
        tmp_path / "node", database=cluster.new_database(cluster.template) if before == "postgresql" else None
    ).start()
    node.activate()
    settings = {"key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **settings} for name in NAMES]})
    node.schedule(*NAMES)
    load = threading.Thread(target=lambda: [enrol(node, name) for name in NAMES[:40]])
    load.start()
    archive = tmp_path / "backup.tar.gz"
    assert "holds" in capf("backup", "--plain", "--config", node.config, "--to", archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    load.join()
    node.stop()
    certificate = node.capf_certificate.read_bytes()
    node.state.rename(tmp_path / "lost")
    use_database(node, cluster.new_database() if after == "postgresql" else None)
    assert "restored" in capf("restore", "--plain", "--config", node.config, "--from", archive)
    node.start()
    assert node.capf_certificate.read_bytes() == certificate
    pending = [name for name in NAMES if node.phone(name)["certificate_operation"] != "No Pending Operation"]
    assert set(NAMES[40:]) <= set(pending)
    for name in pending:
        enrol(node, name)
    assert node.wait(*NAMES)["by_status"] == {"Upgrade Success": len(NAMES)}
    serials = [node.phone(name)["lsc_serial_number"] for name in NAMES]
    assert len(set(serials)) == len(NAMES)
    node.schedule(*NAMES, force=True)
    assert enrol(node, NAMES[0])
    assert "is unchanged" in capf("audit", "verify", "--config", node.config)
    node.stop()


def test_p26_an_operation_in_a_session_is_given_back_by_the_restore(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node").start()
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": NAMES[0], "key_order": "EC Only", "ec_key_size": 256}]})
    node.schedule(NAMES[0], authentication_mode="By Authentication String")
    string = node.phone(NAMES[0])["authentication_string"]
    client = Client(node.capf_port, NAMES[0])
    client.authenticate(string)
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    client.close()
    node.stop()
    node.state.rename(tmp_path / "lost")
    node.config.write_text(node.config.read_text().replace('node_name = "127.0.0.1"', 'node_name = "another"'))
    capf("restore", "--plain", "--config", node.config, "--from", archive)
    node.start()
    assert enrol(node, NAMES[0], string)
    assert node.phone(NAMES[0])["operation_status"] == "Upgrade Success"
    node.stop()


def acts(node: RunningNode) -> list[str]:
    """Return the actions in the audit table."""
    store = Store(configuration.load(node.config).database)
    try:
        return list(store.read(lambda c: c.execute(select(schema.audit.c.action)).scalars().all()))
    finally:
        store.close()


def cut_short(node: RunningNode, archive: Path) -> None:
    """Run a restore that cannot write the key, which comes last."""
    in_the_way = node.state / "capf.key.new"
    in_the_way.mkdir(parents=True)
    assert "cannot be restored" in capf("restore", "--plain", "--config", node.config, "--from", archive, status=1)
    in_the_way.rmdir()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_r20_a_restore_that_was_cut_short_is_run_again(tmp_path: Path, cluster: PostgreSQL, database: str) -> None:
    node = RunningNode(tmp_path / "node")
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    node.state.rename(tmp_path / "gone")
    use_database(node, cluster.new_database() if database == "postgresql" else None)
    for _time in range(2):
        cut_short(node, archive)
        assert acts(node)[-1] == "restore"
    assert "restored" in capf("restore", "--plain", "--config", node.config, "--from", archive)
    assert not [path for path in node.state.iterdir() if "restor" in path.name]
    assert node.start().ok("GET", "/service")
    node.stop()
    assert "is unchanged" in capf("audit", "verify", "--config", node.config)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_record_that_was_changed_since_is_not_the_restores_own(
    tmp_path: Path, cluster: PostgreSQL, database: str
) -> None:
    node = RunningNode(tmp_path / "node")
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    node.state.rename(tmp_path / "gone")
    use_database(node, cluster.new_database() if database == "postgresql" else None)
    cut_short(node, archive)
    store = Store(configuration.load(node.config).database)
    store.write(lambda c: audit.record(c, 1, "somebody", "work on"))
    store.close()
    refused = capf("restore", "--plain", "--config", node.config, "--from", archive, status=1)
    assert "already exists" in refused or "is not empty" in refused
    assert acts(node)[-1] == "work on"


def test_r20_a_database_of_any_name_in_the_state_directory_is_restored(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    site = f"sqlite:///{node.state}/site.db"
    (node.state / "capf.db").rename(node.state / "site.db")
    use_database(node, site)
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    with tarfile.open(archive) as tar:
        assert [name for name in tar.getnames() if ".db" in name] == ["capf.db"]
    node.state.rename(tmp_path / "gone")
    assert "restored" in capf("restore", "--plain", "--config", node.config, "--from", archive)
    assert not (node.state / "capf.db").exists()
    assert node.start().ok("GET", "/service")
    node.stop()


def test_a_backup_that_fails_leaves_neither_file_nor_audit_row(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    before = acts(node)
    there, database = tmp_path / "there.tar.gz", node.state / "capf.db"
    there.touch()
    for target, said in ((there, "already exists"), (tmp_path / "none" / "a.tar.gz", "cannot be written: No such")):
        assert said in capf("backup", "--plain", "--config", node.config, "--to", target, status=1)
    assert acts(node) == before
    database.rename(tmp_path / "capf.db")
    words_by_content = {None: "its file cannot be opened", b"this is no database" * 100: "is not a database"}
    for content, words in words_by_content.items():
        if content is not None:
            database.write_bytes(content)
        output = capf("backup", "--plain", "--config", node.config, "--to", tmp_path / "new.tar.gz", status=1)
        assert words in output and len(output.splitlines()) == 1
        assert not (tmp_path / "new.tar.gz").exists()


def test_a_backup_that_cannot_be_made_is_answered_with_the_cause(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node").start()
    database, elsewhere = node.state / "capf.db", tmp_path / "capf.db"
    database.rename(elsewhere)
    status, answer = node.api("POST", "/backup", {"plain": True})
    elsewhere.rename(database)
    assert (status, answer["error"]["message"]) == (
        503,
        "the database cannot be copied: its file cannot be opened (SQLITE_CANTOPEN)",
    )
    node.stop()
    assert "back up" not in acts(node)


def test_what_a_killed_backup_left_is_gone_after_a_start(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    left, at_work = (node.state / f".capf-backup-{process}-x" for process in (2**22 + 1, os.getpid()))
    for directory in (left, at_work):
        directory.mkdir()
        (directory / "capf.db").touch()
    node.start()
    assert not left.exists() and at_work.exists()
    node.stop()


def test_a_restore_never_replaces_what_is_there(tmp_path: Path, cluster: PostgreSQL) -> None:
    node = RunningNode(tmp_path / "node")
    archive = tmp_path / "backup.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    assert "already contains" in capf("restore", "--plain", "--config", node.config, "--from", archive, status=1)
    assert "already exists" in capf("backup", "--plain", "--config", node.config, "--to", archive, status=1)
    node.state.rename(tmp_path / "gone")
    junk = tmp_path / "junk.tar.gz"
    junk.write_bytes(b"junk")
    assert "cannot be restored" in capf("restore", "--plain", "--config", node.config, "--from", junk, status=1)
    assert not (node.state / "capf.key").exists()
    used = cluster.new_database()
    store = Store(used)
    store.write(lambda c: c.execute(schema.settings.insert().values(name="a", value="b")))
    store.close()
    use_database(node, used)
    assert "the database is not empty" in capf(
        "restore", "--plain", "--config", node.config, "--from", archive, status=1
    )
    assert not (node.state / "capf.key").exists()
    use_database(node, cluster.new_database())
    assert "restored" in capf("restore", "--plain", "--config", node.config, "--from", archive)


def test_a_truncated_archive_is_refused_and_a_whole_one_goes_on(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    archive, short = tmp_path / "backup.tar.gz", tmp_path / "short.tar.gz"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    short.write_bytes(archive.read_bytes()[:-2000])
    node.state.rename(tmp_path / "gone")
    assert "cannot be restored" in capf("restore", "--plain", "--config", node.config, "--from", short, status=1)
    assert not (node.state / "capf.key").exists()
    capf("restore", "--plain", "--config", node.config, "--from", archive)
    assert node.start().ok("GET", "/service")
    node.stop()


def test_a_restored_file_is_as_it_was_and_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node")
    outside = tmp_path / "outside.pem"
    outside.write_bytes(node.capf_certificate.read_bytes())
    (node.state / "manufacturing" / "linked.pem").symlink_to(outside)
    archive, gone = tmp_path / "backup.tar.gz", tmp_path / "gone"
    capf("backup", "--plain", "--config", node.config, "--to", archive)
    node.state.rename(gone)
    capf("restore", "--plain", "--config", node.config, "--from", archive)
    assert (node.state / "manufacturing" / "linked.pem").read_bytes() == outside.read_bytes()
    for name in ("capf.key", "capf.crt", "strings.key", "administration.key", "administration.crt"):
        restored, before = node.state / name, gone / name
        assert restored.read_bytes() == before.read_bytes()
        assert restored.stat().st_mode == before.stat().st_mode
