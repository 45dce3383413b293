# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The previous version is taken from git history: the latest release, or the last commit with its schema."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = "roles/capf_server/files/store/migrations/versions"
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_DATE": "2030-01-01T00:00Z",
    "GIT_COMMITTER_DATE": "2030-01-01T00:00Z",
}
NO_HISTORY = 3
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


class Repository:
    """A repository with the script, a scenario that expects schema 0002, and what a test commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.write("scripts/previous-version", (ROOT / "scripts" / "previous-version").read_text())
        self.expect("0002")

    def git(self, *arguments: str) -> str:
        """Return the output of git."""
        argv = ["git", *IDENTITY, *arguments]
        done = subprocess.run(argv, cwd=self.path, env=os.environ | GIT, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def expect(self, schema: str) -> None:
        """Set the schema that the scenario expects of the previous version."""
        self.write("extensions/molecule/upgrade/molecule.yml", f'        previous_schema: "{schema}"\n')

    def commit(self, *migrations: str, text: str = "") -> str:
        """Commit migrations and a playbook; return the commit."""
        for name in migrations:
            self.write(f"{MIGRATIONS}/{name}.py", "")
        self.write("playbooks/rollout.yml", text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A commit")
        return self.git("rev-parse", "HEAD")

    def previous(self) -> tuple[int, str, Path]:
        """Run the script; return its exit status, its output, and the file."""
        file = self.path.with_suffix(".tgz")
        argv: list[str | Path] = ["python3", self.path / "scripts" / "previous-version", file]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr, file


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Three commits: schema 0002, schema 0002 with another playbook, schema 0004 in another folder."""
    made = Repository(tmp_path / "repository")
    made.commit("v0001_first", "v0002_second", text="old")
    made.commit(text="last with 0002")
    made.commit("v0004_third", text="present")
    return made


def playbook(file: Path) -> str:
    """Return the archive's playbook."""
    with tarfile.open(file) as opened:
        found = opened.extractfile("ansible_collections/ucm/capf/playbooks/rollout.yml")
        assert found is not None
        assert not [name for name in opened.getnames() if "scripts" in name]
        return found.read().decode()


def test_before_the_first_release_it_is_the_last_commit_with_the_schema(repository: Repository) -> None:
    repository.git("mv", "roles", "server")
    repository.commit(text="moved")
    status, _unused, file = repository.previous()
    assert (status, playbook(file)) == (0, "last with 0002")


def test_a_release_before_the_present_commit_is_the_previous_version(repository: Repository) -> None:
    repository.git("tag", "v0.9.0", "HEAD~2")
    repository.git("tag", "v0.10.0", "HEAD~1")
    repository.git("tag", "v0.11.0")
    status, _unused, file = repository.previous()
    assert (status, playbook(file)) == (0, "last with 0002")


def test_a_release_with_another_schema_is_named(repository: Repository) -> None:
    repository.git("tag", "v0.1.0")
    repository.commit(text="after the release")
    status, output, file = repository.previous()
    assert status == 1 and not file.exists()
    assert "v0.1.0 has schema 0004, not 0002: set previous_schema" in output
    repository.expect("0004")
    assert repository.previous()[0] == 0 and playbook(file) == "present"


def test_a_shallow_clone_is_deepened_from_its_origin(repository: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.path}", str(clone))
    shallow = object.__new__(Repository)
    shallow.path = clone
    shutil.move(repository.path, tmp_path / "away")
    status, output, file = shallow.previous()
    assert status == NO_HISTORY and not file.exists()
    assert "this clone is shallow; run: git fetch --unshallow --tags" in output
    shutil.move(tmp_path / "away", repository.path)
    status, _unused, file = shallow.previous()
    assert (status, playbook(file)) == (0, "last with 0002")


def test_a_history_that_begins_later_is_named(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "--orphan", "squashed")
    repository.git("commit", "--quiet", "--message", "Everything at once")
    for schema in ("0002", "0004"):
        repository.expect(schema)
        status, output, file = repository.previous()
        assert status == NO_HISTORY and not file.exists()
        assert f"no commit of the history ends the schema {schema}" in output
