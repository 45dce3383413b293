# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A path is relative to the directory in which the command was typed, for every path variable of every playbook (P35).

Every playbook is called by its full name from an installed collection, which stays as it is, in a directory elsewhere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import paths
from support.installed import Installed
from support.node import RunningNode, free_ports
from support.plays import ROOT, interpreter
from support.requesting import PASSWORD

A, B = "SEP00000000000A", "SEP00000000000B"
LIST = f"device_name,authentication_mode\n{A},By Authentication String\n"
TOKEN = {"certificate_file": "token.pem", "key_file": "token.key", "passphrase_file": "passphrase"}
ROLLOUT = {
    "lsc_rollout_reset": False, "lsc_rollout_wave_seconds": 1, "lsc_rollout_retries": 0,
    "lsc_rollout_failure_limit": "100%", "lsc_rollout_progress_interval": 1,
}  # fmt: skip
MOVE = {"move_phones_step": "after", "move_phones_ready": True, **ROLLOUT}
TRIED = {
    "backup_dest", "capf_ca_path", "capf_server_certificates", "capf_server_manufacturing_cas", "capf_server_restore",
    "capf_server_wheelhouse_cache", "lab_capf_certificates", "lab_phones", "lab_wheelhouse_cache",
    "lsc_rollout_csv_file", "lsc_rollout_directory", "lsc_rollout_phones_from",
    "move_phones_csv_file", "preflight_csv_file", "preflight_report", "report_directory", "restore_archive",
    "update_ctl_tokens",
}  # fmt: skip
"""What the two tests below try; ``capf_server_restore`` by the playbook restore, those of the lab by its own test."""
MISSING: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "capf_ca_path": ("report", "", {"capf_ca_path": "no.crt"}, "ca_path: '{typed}/no.crt' cannot be read"),
    "backup_dest": ("backup", "", {"backup_dest": "no/b", "backup_plain": True}, "dest: '{typed}/no/b' cannot be"),
    "report_directory": (
        "report", "", {"report_directory": "no"}, "the directory of '{typed}/no/capf-report.csv' does",
    ),
    "preflight_csv_file": ("preflight", "", {"preflight_csv_file": "no.csv"}, "'{typed}/no.csv' cannot be read: No"),
    "preflight_report": (
        "preflight", "", {"preflight_report": "no/r.csv"}, "the directory of '{typed}/no/r.csv' does not exist",
    ),
    "lsc_rollout_csv_file": (
        "rollout", "--check", {"lsc_rollout_csv_file": "no.csv"}, "csv_file: '{typed}/no.csv' cannot be read"
    ),
    "lsc_rollout_phones_from": (
        "rollout", "--check", {"lsc_rollout_phones_from": {"csv_file": "no.csv"}},
        "csv_file: '{typed}/no.csv' cannot be read",
    ),
    "lsc_rollout_directory": (
        "rollout", "", {"lsc_rollout_directory": "phones.csv/night", "lsc_rollout_phones_from": {"phones": [B]}},
        "{typed}/phones.csv/night",
    ),
    "move_phones_csv_file": (
        "move_phones", "--check", {**MOVE, "move_phones": [A], "move_phones_csv_file": "no.csv"},
        "csv_file: '{typed}/no.csv' cannot be read",
    ),
    "update_ctl_tokens": (
        "update_ctl", "--check", {"update_ctl_tokens": [{"slot": 2, **TOKEN, "key_file": "no.key"}]},
        "tokens slot 2 key_file: '{typed}/no.key' cannot be read",
    ),
}  # fmt: skip
"""Variable, playbook, option, variables, and the error that shows the absolute path."""


@pytest.fixture
def installed(archive: Path, tmp_path: Path) -> Iterator[Installed]:
    """The installed collection, which must stay unchanged."""
    made = Installed(tmp_path / "installed").install(archive)
    subprocess.run(["chmod", "-R", "a-w", made.collection], check=True)
    before = listing(made.collection)
    yield made
    subprocess.run(["chmod", "-R", "u+w", made.collection], check=True)
    assert listing(made.collection) == before


def listing(directory: Path) -> set[str]:
    """Return every path in a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.fixture
def typed(node: RunningNode, tmp_path: Path) -> Path:
    """The directory in which commands are typed, with their files."""
    directory = tmp_path / "site"
    (directory / "out").mkdir(parents=True)
    (directory / "administration.crt").write_bytes((node.state / "administration.crt").read_bytes())
    (directory / "phones.csv").write_text(LIST)
    (directory / "passphrase").write_text("correct-horse\n")
    (directory / "registered").write_text("#!/bin/sh\n")
    (directory / "registered").chmod(0o755)
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "file:passphrase", "-subj", "/CN=token"]
    argv += ["-days", "365", "-keyout", "token.key", "-out", "token.pem"]
    subprocess.run(argv, cwd=directory, check=True, capture_output=True)
    return directory


def connection(node: RunningNode, **variables: Any) -> dict[str, Any]:
    """Return the variables of every command."""
    return {"capf_port": node.port, "capf_password": PASSWORD, "capf_ca_path": "administration.crt", **variables}


def test_p35_every_path_variable_is_tried_here() -> None:
    assert paths.given() == TRIED


def test_p35_every_relative_path_is_found_or_written_where_the_command_was_typed(
    installed: Installed, node: RunningNode, typed: Path, tmp_path: Path
) -> None:
    def run(playbook: str, *options: str, **variables: Any) -> str:
        status, output = installed.run(typed, playbook, *options, **connection(node, **variables))
        assert status == 0, output
        return output

    def written(*names: str | Path) -> bool:
        return all((typed / name).is_file() for name in names)

    run("update_ctl", update_ctl_tokens=[{"slot": 2, **TOKEN}])
    run("preflight", preflight_csv_file="phones.csv", preflight_report="./out/preflight.csv")
    night = {"lsc_rollout_csv_file": "phones.csv", "lsc_rollout_directory": "night", **ROLLOUT}
    run("rollout", **night, lsc_rollout_registration_command=["./registered"])
    (reports,) = (typed / "night").glob("lsc-rollout-*")
    assert written("night/summary.json", "night/strings/no-site.csv")
    assert written(*(reports / name for name in ("rollout.csv", "rollout.html", "capf-report.csv", "summary.json")))
    assert (typed / "night/strings/not-entered.txt").read_text() == f"{A}\n" and list(
        (typed / "night").glob("*.tar.gz")
    )
    run("report", report_directory="out")
    run("backup", backup_dest="out/backup.tar.gz", backup_plain=True)
    assert written("out/preflight.csv", "out/capf-report.csv", "out/capf-report.html", "out/backup.tar.gz")
    moved = {"move_phones": [A], "move_phones_csv_file": "phones.csv", "lsc_rollout_directory": "moved"}
    run("move_phones", "--check", **MOVE, **moved)
    node.ok("POST", "/phones", {"phones": [{"device_name": B}]})
    node.ok("PUT", "/rollouts/late", {"runner": "run-1", "names": [B]})
    run("abort_rollout", lsc_rollout_name="late", lsc_rollout_directory="late")
    (reports,) = (typed / "late").glob("late-*")
    assert written(*(reports / name for name in ("rollout.csv", "rollout.html", "capf-report.csv")))
    restored(installed, typed, tmp_path)


def restored(installed: Installed, typed: Path, tmp_path: Path) -> None:
    """Restore the backup on a separate host, with every path on the control node relative."""
    administration, files = free_ports(2)
    host, cache = tmp_path / "host", typed / "wheelhouse"
    (ROOT / ".cache" / "wheelhouse").mkdir(parents=True, exist_ok=True)
    cache.symlink_to(ROOT / ".cache" / "wheelhouse")
    (tmp_path / "inventory").write_text("[capf]\nnode1 ansible_connection=local\n")
    variables = {
        "ansible_python_interpreter": interpreter(), "capf_become": False, "capf_password": PASSWORD,
        "restore_archive": "out/backup.tar.gz", "restore_plain": True,
        "capf_server_run_as": "process", "capf_server_python": sys.executable,
        "capf_server_directory": str(host / "server"), "capf_server_configuration": str(host / "capf.toml"),
        "capf_server_state_directory": str(host / "state"), "capf_server_administration_port": administration,
        "capf_server_administration_addresses": ["127.0.0.1"], "capf_server_capf_addresses": ["127.0.0.3"],
        "capf_server_capf_addresses_ipv6": [], "capf_server_files_addresses": ["127.0.0.1"],
        "capf_server_files_port": files, "capf_server_wheelhouse_cache": "wheelhouse",
        "capf_server_certificates": "certificates", "capf_server_manufacturing_cas": ["token.pem"],
    }  # fmt: skip
    inventory = ("-i", str(tmp_path / "inventory"))
    status, output = installed.run(
        typed, "restore", *inventory, **{**variables, "capf_server_state_directory": "state"}
    )
    assert status == 2 and "capf_server_state_directory: 'state' is a relative path; give an absolute one" in output, (
        output
    )
    try:
        status, output = installed.run(typed, "restore", *inventory, **variables)
        assert status == 0, output
        assert (typed / "certificates/administration.crt").is_file()
        assert (typed / "token.pem").read_text() in [
            path.read_text() for path in (host / "state/manufacturing").iterdir()
        ]
        wrong = {**variables, "capf_server_manufacturing_cas": ["no.pem"]}
        status, output = installed.run(typed, "restore", *inventory, **wrong)
        assert status == 2 and f"{typed}/no.pem" in output, output
    finally:
        if (host / "state/capf.pid").exists():
            os.kill(int((host / "state/capf.pid").read_text()), signal.SIGTERM)


def test_p35_the_error_of_a_missing_file_shows_the_absolute_path(
    installed: Installed, node: RunningNode, typed: Path
) -> None:
    node.ok("PUT", "/ctl-file", {})
    node.ok("POST", "/phones", {"phones": [{"device_name": B}]})

    def run(case: tuple[str, str, dict[str, Any], str]) -> str:
        playbook, option, variables, error = case
        given = connection(node) | ROLLOUT | {"lsc_rollout_directory": "night"} | variables
        status, output = installed.run(typed, playbook, *option.split(), **given)
        expected = error.format(typed=typed)
        return "" if status == 2 and expected in output else f"{expected} is not in: {output}"

    with ThreadPoolExecutor(2) as pool:
        assert [text for text in pool.map(run, MISSING.values()) if text] == []
    assert node.ok("GET", "/rollouts") == {"rollouts": []}
