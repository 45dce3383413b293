# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first contact, from the built archive in an empty directory, by a user without rights (P59, P60)."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRIALS = ROOT / "tests" / "packaging" / "operator_trials"
WITHOUT_ROOT = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
"""Runs a command as a user who is not root and has no capabilities, but may read root's files, such as its Python."""
OLDEST = "ansible-core==2.18.*"
"""The oldest version that meta/runtime.yml allows; the part `newest` of scripts/test tries the newest one."""


def titles() -> list[str]:
    """Return the titles of the trials."""
    return [trial.title for trial in runpy.run_path(str(TRIALS))["TRIALS"]]


def oldest_ansible(place: Path) -> Path:
    """Make an environment with the oldest supported ansible-core; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--quiet")
    subprocess.run([*pip, "pip", OLDEST], check=True)
    return python


def test_p59_the_trials_use_the_oldest_supported_ansible_core() -> None:
    runtime = (ROOT / "meta" / "runtime.yml").read_text()
    assert f'requires_ansible: ">={OLDEST.partition("==")[2].replace("*", "0")}"' in runtime


def test_p59_the_page_shows_every_trial() -> None:
    page = (ROOT / "docs" / "trials.md").read_text()
    assert re.findall(r"^ok +\d+ s  (.*)$", page, re.M) == titles()
    assert f"{len(titles())} trials, 0 failed" in page


@pytest.mark.slow
@pytest.mark.tools
def test_p59_p60_the_trials_of_an_operator_succeed_without_root(archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="trials") as place:
        cache, here = Path(place, "cache"), Path(place, "here")
        shutil.copytree(ROOT / ".cache" / "wheelhouse", cache)
        here.mkdir()
        without_root = WITHOUT_ROOT if os.geteuid() == 0 else ()
        argv: list[str | Path] = [*without_root, oldest_ansible(Path(place, "ansible")), TRIALS, archive, cache]
        done = subprocess.run(argv, cwd=here, capture_output=True, text=True, check=False)
        logs = "".join(path.read_text()[-3000:] for path in sorted((here / "output").glob("*.txt")))
        assert done.returncode == 0, done.stdout + done.stderr + logs
        assert f"{len(titles())} trials, 0 failed" in done.stdout
