# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wheelhouse: root's own on the node (P31), and one line that says what a control node lacks (P59)."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHEELHOUSE = ROOT / "roles" / "capf_server" / "files" / "wheelhouse.py"


def built_by(python: str | Path, cache: Path, **variables: str) -> tuple[int, str]:
    """Return the exit status and the last line of the command."""
    argv = [
        python,
        WHEELHOUSE,
        "--source",
        ROOT / "server",
        "--cache",
        cache,
        "--python",
        "3.11",
        "--machine",
        "x86_64",
    ]
    done = subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.splitlines()[-1]


def test_p59_a_control_node_without_pip_is_told_so_in_one_line(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    status, said = built_by(python, tmp_path / "cache")
    assert status == 1 and f"{python}, has no pip" in said and "To do: install it" in said


def test_p59_a_control_node_without_an_index_is_told_so_in_one_line(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
    status, said = built_by(sys.executable, tmp_path / "cache", **nowhere, PIP_NO_INDEX="", PIP_FIND_LINKS="")
    assert status == 1 and "pip cannot get the server's packages" in said and "set PIP_INDEX_URL" in said
    assert not list((tmp_path / "cache").glob("*.tar"))


def test_p31_what_root_unpacks_and_runs_on_the_node_belongs_to_root(tmp_path: Path) -> None:
    for name in ("install.py", "capf.whl"):
        (tmp_path / name).write_text("what a user of the control node has written")
        (tmp_path / name).chmod(0o666)
        if os.geteuid() == 0:
            os.chown(tmp_path / name, 1000, 1000)
    runpy.run_path(str(WHEELHOUSE))["pack"](tmp_path, "wheelhouse", tmp_path / "archive")
    with tarfile.open(tmp_path / "archive") as tar:
        found = {item.name: (item.uid, item.gid, item.uname, item.gname, item.mode) for item in tar}
    root = (0, 0, "root", "root", 0o644)
    assert found == {f"wheelhouse/{name}": root for name in ("install.py", "capf.whl", "whole")}
