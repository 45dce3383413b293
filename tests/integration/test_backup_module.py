# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup of a live node by API and module (R20)."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Any

from support.archives import PASSPHRASE
from support.node import CAPF, RunningNode
from support.plays import play
from support.requesting import PASSWORD

MODULE = "ucm.capf.backup"
RESTORE = "ucm.capf.restore"


def test_r20_backup_writes_a_new_archive_each_time(node: RunningNode, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar.gz"
    task = {MODULE: {"dest": str(target), "plain": True}}
    (check,), _output = play(node, {**task, "check_mode": True})
    assert check["changed"] and check["dest"] == str(target) and not target.exists()
    (real, again), output = play(node, task, task, options=("-vvv",))
    assert real["changed"] and target.stat().st_mode & 0o777 == 0o600
    assert (real["size"], real["sha256"]) == (
        target.stat().st_size,
        hashlib.sha256(target.read_bytes()).hexdigest(),
    )
    with tarfile.open(target) as archive:
        assert len(set(archive.getnames()) - {"manifest.json"}) == real["files"]
        assert {"capf.key", "capf.db", "strings.key", "administration.key"} <= set(archive.getnames())
        assert not [name for name in archive.getnames() if name.startswith(".") or name.endswith(("lock", "-wal"))]
    assert again["failed"] and "already exists" in again["msg"]
    assert PASSWORD not in output and "PRIVATE KEY" not in output
    assert output.count("is not encrypted") >= 1
    (named,), _output = play(node, {MODULE: {"dest": str(tmp_path), "plain": True}})
    assert Path(named["dest"]).parent == tmp_path and Path(named["dest"]).exists()


def test_p34_r20_an_encrypted_backup_is_tested_in_check_mode_and_restored(node: RunningNode, tmp_path: Path) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": "SEP00000000000A"}]})
    archive, new = tmp_path / "capf.backup", tmp_path / "new.toml"
    secret = {"passphrase": PASSPHRASE}
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    backup = {MODULE: {"dest": str(archive), **secret}}
    task = {RESTORE: {"archive": str(archive), "configuration": str(new), "executable": str(CAPF), **secret}}
    check = {**task, "check_mode": True}
    (made, tested, real, again), output = play(node, backup, check, task, task, options=("-vvv",))
    assert archive.stat().st_mode & 0o777 == 0o600 and "is not encrypted" not in output
    assert made["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest() and made["files"] > 5
    assert tested["changed"] and tested["message"].startswith("would restore ")
    assert real["changed"] and not again["changed"]
    assert (tmp_path / "new" / "capf.key").read_bytes() == (node.state / "capf.key").read_bytes()
    assert PASSPHRASE not in output and b"PRIVATE KEY" not in archive.read_bytes()


def test_p34_what_is_asked_of_a_backup_is_refused_in_check_mode_too(node: RunningNode, tmp_path: Path) -> None:
    archive, whole = tmp_path / "capf.backup", {"passphrase": PASSPHRASE}
    play(node, {MODULE: {"dest": str(archive), **whole}})
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    new = tmp_path / "new.toml"
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    given = {"archive": str(archive), "configuration": str(new), "executable": str(CAPF)}
    dest = str(tmp_path / "other")
    said: list[tuple[dict[str, Any], str]] = [
        ({MODULE: {"dest": dest}}, "passphrase: give either a passphrase or plain: true"),
        ({MODULE: {"dest": dest, "plain": True, **whole}}, "passphrase: give either a passphrase or plain: true"),
        ({MODULE: {"dest": dest, "passphrase": "too short"}}, "passphrase: this value is refused; allowed: at least"),
        ({RESTORE: given}, "passphrase: give either a passphrase or plain: true"),
        ({RESTORE: {**given, **whole}}, "it is damaged or was changed"),
        ({RESTORE: {**given, "plain": True}}, "it is encrypted"),
    ]
    tasks = [{**task, "check_mode": check} for task, _words in said for check in (True, False)]
    results, output = play(node, *tasks)
    for result, words in zip(results, [words for _task, words in said for _check in range(2)], strict=True):
        assert result["failed"] and words in result["msg"], result
    assert not (tmp_path / "new").exists() and not (tmp_path / "other").exists()
    assert PASSPHRASE not in output and "too short" not in output


def test_r20_a_place_where_no_backup_can_be_written_is_named(node: RunningNode) -> None:
    tasks = [
        {MODULE: {"dest": f"{directory}/backup.tar.gz", "plain": True}} for directory in ("/nowhere/at/all", "/proc")
    ]
    results, _output = play(node, *tasks)
    assert results[0]["msg"].endswith("'/nowhere/at/all/backup.tar.gz' cannot be written: its directory does not exist")
    assert results[1]["failed"] and "'/proc/backup.tar.gz' cannot be written: " in results[1]["msg"]


def test_r20_restore_brings_back_what_is_not_there(node: RunningNode, tmp_path: Path) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": "SEP00000000000A"}]})
    archive, new = tmp_path / "backup.tar.gz", tmp_path / "new.toml"
    play(node, {MODULE: {"dest": str(archive), "plain": True}})
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    task = {RESTORE: {"archive": str(archive), "configuration": str(new), "executable": str(CAPF), "plain": True}}
    (check, real, again), output = play(node, {**task, "check_mode": True}, task, task, options=("-vvv",))
    assert check["changed"] and check["message"].startswith("would restore ")
    assert real["changed"] and real["message"].startswith("restored ")
    assert not again["changed"] and again["message"].endswith("/new already contains a CAPF server's state")
    assert (tmp_path / "new" / "capf.key").read_bytes() == (node.state / "capf.key").read_bytes()
    assert PASSWORD not in output and "PRIVATE KEY" not in output


def test_r20_what_cannot_be_restored_is_named(node: RunningNode, tmp_path: Path) -> None:
    stranger, new = tmp_path / "stranger.tar.gz", tmp_path / "new.toml"
    with tarfile.open(stranger, "w:gz") as archive:
        archive.add(node.config, "capf.toml")
    new.write_text(node.config.read_text().replace(str(node.state), str(tmp_path / "new")))
    given = {"configuration": str(new), "executable": str(CAPF), "plain": True}
    tasks = [{RESTORE: {"archive": str(path), **given}} for path in (stranger, tmp_path / "none.tar.gz")]
    tasks += [{RESTORE: {"archive": str(stranger), **given, "configuration": "/none.toml"}}]
    results, _output = play(node, *tasks)
    assert all(result["failed"] for result in results) and not (tmp_path / "new").exists()
    assert (
        results[0]["msg"]
        == f"capf: {stranger} cannot be restored: it is damaged or incomplete: its SHA-256 does not match"
    )
    assert "none.tar.gz cannot be restored" in results[1]["msg"] and "/none.toml" in results[2]["msg"]
