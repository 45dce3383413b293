# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is made completely by one command, or not at all; the version is the same everywhere."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "release"))
IDENTITY = {f"GIT_{who}_{what}": f"test@{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRONMENT = os.environ | IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull}


def git(tree: Path, *arguments: str) -> str:
    """Return the output of git in a tree."""
    done = subprocess.run(["git", *arguments], cwd=tree, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with the tracked files of this one, in one commit on main."""
    subprocess.run([ROOT / "scripts" / "copy-collection", tmp_path], check=True, capture_output=True)
    made = tmp_path / "ansible_collections" / "ucm" / "capf"
    shutil.rmtree(made / "tests")  # They contain the secrets that no other file of a test run may contain.
    git(made, "init", "--quiet", "--initial-branch", "main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "Everything")
    return made


def make(tree: Path, version: str, *options: str) -> tuple[int, str]:
    """Run the command in a tree; return its exit status and output."""
    argv: list[str | Path] = [
        sys.executable,
        tree / "scripts" / "release",
        "make",
        version,
        "--check-with",
        "true",
        *options,
    ]
    done = subprocess.run(argv, cwd=tree, env=ENVIRONMENT, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_version_is_the_same_wherever_it_is_said() -> None:
    said = SCRIPT["versions"](ROOT)
    assert {"galaxy.yml", "__init__.py"} <= {path.name for path in said}
    assert set(said.values()) == {yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]}
    literal = [path for path in ROOT.rglob("pyproject.toml") if "\nversion = " in path.read_text().split("[tool.")[0]]
    assert set(literal) - set(said) == set()


def test_a_release_has_changelog_version_tag_and_archive(tree: Path, tmp_path: Path) -> None:
    status, output = make(tree, "9.8.7", "--directory", str(tmp_path / "dist"))
    assert status == 0, output
    assert git(tree, "show", "--no-patch", "--format=%s", "v9.8.7^{commit}") == "Release 9.8.7"
    assert git(tree, "rev-parse", "main") == git(tree, "rev-parse", "v9.8.7^{commit}")
    assert git(tree, "status", "--porcelain") == "" and len(git(tree, "worktree", "list").splitlines()) == 1
    assert set(SCRIPT["versions"](tree).values()) == {"9.8.7"}
    assert "9\\.8\\.7" in (tree / "CHANGELOG.md").read_text()
    with tarfile.open(tmp_path / "dist" / "ucm-capf-9.8.7.tar.gz") as archive:
        assert "changelogs/changelog.yaml" in archive.getnames()
    assert make(tree, "9.8.7")[1] == "version 9.8.7 is refused: the repository is at 9.8.7 already\n"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.0.9", "version 0.0.9 is refused: the repository is at"),
        ("1.0", "version '1.0' is refused; allowed: three numbers, such as 1.2.3"),
    ],
)
def test_a_version_that_is_none_or_not_newer_is_refused(tree: Path, version: str, reason: str) -> None:
    status, output = make(tree, version)
    assert status == 1 and reason in output
    assert git(tree, "status", "--porcelain") == "" and git(tree, "tag") == ""


def test_a_release_that_fails_leaves_the_repository_as_it_was(tree: Path) -> None:
    (tree / "changelogs" / "fragments" / "bad.yml").write_text("nonsense: [")
    status, output = make(tree, "9.8.7")
    assert status == 1 and "changes that are not committed" in output
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "A fragment that is no YAML")
    before = git(tree, "rev-parse", "main")
    status, output = make(tree, "9.8.7")
    assert status == 1 and "antsibull-changelog release" in output
    assert (git(tree, "rev-parse", "main"), git(tree, "status", "--porcelain"), git(tree, "tag")) == (before, "", "")
    status, output = make(tree, "9.8.7", "--check-with", "echo broken; false")
    assert status == 1 and "broken" in output and git(tree, "rev-parse", "main") == before
    git(tree, "switch", "--quiet", "--create", "other")
    assert "the branch is 'other'; a release is made on 'main'" in make(tree, "9.8.7")[1]
