"""A backup of a live node by API and module (R20)."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from support.node import CAPF, PASSWORD, RunningNode
from support.plays import play

MODULE = "ucm.capf.backup"
RESTORE = "ucm.capf.restore"


def test_r20_backup_writes_a_new_archive_each_time(node: RunningNode, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar.gz"
    task = {MODULE: {"dest": str(target)}}
    (check,), _output = play(node, {**task, "check_mode": True})
    assert check["changed"] and check["dest"] == str(target) and not target.exists()
    (real, again), output = play(node, task, task, options=("-vvv",))
    assert real["changed"] and target.stat().st_mode & 0o777 == 0o600
    assert (real["size"], real["sha256"]) == (
        target.stat().st_size,
        hashlib.sha256(target.read_bytes()).hexdigest(),
    )
    with tarfile.open(target) as archive:
        assert len(archive.getnames()) == real["files"]
        assert {"capf.key", "capf.db", "strings.key", "administration.key"} <= set(archive.getnames())
        assert not [name for name in archive.getnames() if name.startswith(".") or name.endswith(("lock", "-wal"))]
    assert again["failed"] and "is there already" in again["msg"]
    assert PASSWORD not in output and "PRIVATE KEY" not in output
    (named,), _output = play(node, {MODULE: {"dest": str(tmp_path)}})
    assert Path(named["dest"]).parent == tmp_path and Path(named["dest"]).exists()


def test_r20_a_place_where_no_backup_can_be_written_is_named(node: RunningNode) -> None:
    tasks = [{MODULE: {"dest": f"{directory}/backup.tar.gz"}} for directory in ("/nowhere/at/all", "/proc")]
    results, _output = play(node, *tasks)
    assert results[0]["msg"].endswith("'/nowhere/at/all/backup.tar.gz' cannot be written: there is no such directory")
    assert results[1]["failed"] and "directory '/proc' is not writable" in results[1]["msg"]


def test_r20_restore_brings_back_what_is_not_there(node: RunningNode, tmp_path: Path) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": "SEP00000000000A"}]})
    archive, new = tmp_path / "backup.tar.gz", tmp_path / "new.toml"
    play(node, {MODULE: {"dest": str(archive)}})
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    task = {RESTORE: {"archive": str(archive), "configuration": str(new), "executable": str(CAPF)}}
    (check, real, again), output = play(node, {**task, "check_mode": True}, task, task, options=("-vvv",))
    assert check["changed"] and check["message"].startswith("would restore ")
    assert real["changed"] and real["message"].startswith("restored ")
    assert not again["changed"] and again["message"].endswith("/new already holds a CAPF server's state")
    assert (tmp_path / "new" / "capf.key").read_bytes() == (node.state / "capf.key").read_bytes()
    assert PASSWORD not in output and "PRIVATE KEY" not in output


def test_r20_what_cannot_be_restored_is_named(node: RunningNode, tmp_path: Path) -> None:
    stranger, new = tmp_path / "stranger.tar.gz", tmp_path / "new.toml"
    with tarfile.open(stranger, "w:gz") as archive:
        archive.add(node.config, "capf.toml")
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    given = {"configuration": str(new), "executable": str(CAPF)}
    tasks = [{RESTORE: {"archive": str(path), **given}} for path in (stranger, tmp_path / "none.tar.gz")]
    tasks += [{RESTORE: {"archive": str(stranger), **given, "configuration": "/none.toml"}}]
    results, _output = play(node, *tasks)
    assert all(result["failed"] for result in results) and not (tmp_path / "new").exists()
    assert results[0]["msg"] == f"capf: {stranger} is no backup of a CAPF server"
    assert "none.tar.gz cannot be restored" in results[1]["msg"] and "/none.toml" in results[2]["msg"]
