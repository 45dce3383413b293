# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as installed from the built archive, in an empty home directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.plays import PLAYBOOK, ROOT, extra_vars

_GALAXY = PLAYBOOK.with_name("ansible-galaxy")


def build(directory: Path) -> Path:
    """Return the archive that ansible-galaxy builds from the files that git tracks."""
    subprocess.run([ROOT / "scripts" / "copy-collection", directory], check=True, capture_output=True)
    tree = directory / "ansible_collections" / "ucm" / "capf"
    argv: list[str | Path] = [_GALAXY, "collection", "build", tree, "--output-path", directory]
    subprocess.run(argv, check=True, capture_output=True)
    shutil.rmtree(tree.parents[1])  # it contains the secrets of the tests
    (built,) = directory.glob("ucm-capf-*.tar.gz")
    return built


@dataclass(frozen=True)
class Installed:
    """An installed collection."""

    directory: Path

    def __post_init__(self) -> None:
        for path in (self.place, self.home):
            path.mkdir(parents=True)

    @property
    def place(self) -> Path:
        """The path of its collections."""
        return self.directory / "place"

    @property
    def home(self) -> Path:
        """The home directory of its user."""
        return self.directory / "home"

    @property
    def collection(self) -> Path:
        """The collection itself."""
        return self.place / "ansible_collections" / "ucm" / "capf"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment; C(PWD) is a different directory, as after ``su`` or in a service."""
        return {
            "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}", "HOME": str(self.home), "LANG": "C.UTF-8", "PWD": "/",
            "ANSIBLE_COLLECTIONS_PATH": str(self.place), "ANSIBLE_NOCOLOR": "true", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def install(self, archive: Path) -> Installed:
        """Install the archive offline."""
        argv: list[str | Path] = [_GALAXY, "collection", "install", archive, "-p", self.place, "--offline"]
        subprocess.run(argv, check=True, cwd=self.place, env=self.environment, capture_output=True)
        return self

    def run(self, typed: Path, playbook: str, *options: str, **variables: Any) -> tuple[int, str]:
        """Run a command in a directory; return its exit status, and its output on one line."""
        given = Path(tempfile.mkdtemp(dir=self.home))
        argv: list[str | Path] = [PLAYBOOK, f"ucm.capf.{playbook}", *extra_vars(given, variables), *options]
        done = subprocess.run(argv, cwd=typed, env=self.environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())
