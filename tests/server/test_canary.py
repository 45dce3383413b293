# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The search for secrets in files left by tests finds them (P13)."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import canary
from support.requesting import PASSWORD

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
LEAVING = """
from support.canary import no_secret_is_left

def test_leaves(tmp_path):
    (tmp_path / "server.log").write_text({text!r})
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that is not searched after the last test."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("secret", [PASSWORD, canary.STRING, canary.LOGIN])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize("name", ["state/capf.db-wal", "server.log", "state/trace/capf.log"])
def test_p13_a_canary_in_a_log_is_found(
    directory: Path, secret: str, pack: Callable[[bytes], bytes], name: str
) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(b"\0\xff" + secret.encode() + b"\n"))
    assert canary.leaks(directory) == [f"{path} holds {secret}"]


def test_p13_a_report_with_strings_is_for_its_owner_alone(directory: Path) -> None:
    path = directory / "report.csv"
    path.write_text(canary.STRING)
    path.chmod(0o600)
    assert canary.leaks(directory) == []
    path.chmod(0o640)
    assert canary.leaks(directory) == [f"{path} holds {canary.STRING}"]


def test_p13_a_file_may_hold_only_the_secret_that_is_handed_in_by_it(directory: Path) -> None:
    for name, secret in (("password", PASSWORD), ("phones.csv", canary.STRING)):
        (directory / name).write_text(secret)
    assert canary.leaks(directory) == []
    (directory / "phones.csv").write_text(PASSWORD)
    assert canary.leaks(directory) == [f"{directory}/phones.csv holds {PASSWORD}"]


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("text", "status"), [("all is well", 0), (f"password={PASSWORD}", 1)])
def test_p13_a_run_that_leaves_a_canary_fails(directory: Path, workers: str, text: str, status: int) -> None:
    (directory / "test_leaves.py").write_text(LEAVING.format(text=text))
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        workers,
        "--rootdir",
        directory,
        "--basetemp",
        directory / "left",
    ]
    done = subprocess.run(
        [*argv, directory / "test_leaves.py"],
        cwd=directory, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    assert ("server.log holds" in done.stdout) == bool(status)
