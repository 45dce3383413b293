"""The built archive: what is in it, and that it installs offline and runs from an empty directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import PASSWORD, RunningNode
from support.plays import PLAYBOOK, ROOT, extra_vars

GALAXY = PLAYBOOK.with_name("ansible-galaxy")
A = "SEP00000000000A"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that ansible-galaxy builds from what git tracks."""
    directory = tmp_path_factory.mktemp("build")
    subprocess.run([ROOT / "scripts" / "copy-collection", directory], check=True, capture_output=True)
    tree = directory / "ansible_collections" / "ucm" / "capf"
    argv = [GALAXY, "collection", "build", tree, "--output-path", directory]
    subprocess.run(argv, check=True, capture_output=True)
    shutil.rmtree(tree.parents[1])  # this file's own secrets are in it
    (built,) = directory.glob("ucm-capf-*.tar.gz")
    return built


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """A running node, CAPF activated, without phones."""
    running = RunningNode(tmp_path / "node").start()
    running.activate()
    yield running
    running.stop()


def test_the_archive_holds_what_runs_and_nothing_of_the_workshop(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
    assert {
        "MANIFEST.json", "plugins/modules/phones.py", "plugins/inventory/phones.py", "playbooks/rollout.yml",
        "extensions/eda/plugins/event_source/events.py", "extensions/eda/rulebooks/watch.yml",
        "roles/capf_server/files/capf/pyproject.toml", "meta/runtime.yml", "LICENSE", "README.md",
    } - names == set()  # fmt: skip
    unwanted = ("tests/", ".ci", ".cache", ".venv", ".git", "extensions/molecule", "scripts/", "requirements/")
    assert [name for name in names if name.startswith(unwanted) or name.endswith((".pyc", ".tar.gz"))] == []


def test_the_archive_installs_offline_and_the_rollout_runs_from_it(
    archive: Path, node: RunningNode, tmp_path: Path
) -> None:
    place, home = tmp_path / "place", tmp_path / "home"
    place.mkdir()
    home.mkdir()
    environment = {
        "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(place), "ANSIBLE_NOCOLOR": "true",
    }  # fmt: skip
    install = [GALAXY, "collection", "install", archive, "-p", place, "--offline"]
    subprocess.run(install, check=True, cwd=place, env=environment, capture_output=True)
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    (place / "phones.csv").write_text(f"device_name\n{A}\n")
    given = {
        "capf_port": node.port,
        "capf_password": PASSWORD,
        "capf_ca_path": str(node.state / "administration.crt"),
        "lsc_rollout_csv_file": str(place / "phones.csv"),
    }
    argv = [PLAYBOOK, "ucm.capf.rollout", "--check", *extra_vars(place, given)]
    done = subprocess.run(argv, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 phones need an LSC" in " ".join(done.stdout.split())
