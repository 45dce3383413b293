# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role that deploys the server, as a plain process; the molecule scenarios test it with systemd."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.node import free_ports
from support.plays import ROOT, ansible_playbook, extra_vars, interpreter
from support.requesting import PASSWORD, token


class Deployment:
    """A node deployed by deploy.yml."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.administration, self.capf, self.files = free_ports(3)
        directory.mkdir(exist_ok=True)
        (directory / "inventory").write_text("[capf]\nnode1 ansible_connection=local\n")

    def run(
        self, *options: str, playbook: str = "deploy", collections: Path | None = None, **variables: Any
    ) -> tuple[int, int, str]:
        """Run a playbook, of another copy of the collection if need be.

        Return exit status, number of changed tasks on all nodes, and output.
        """
        given = {
            "ansible_python_interpreter": interpreter(),
            "capf_become": False,
            "capf_password": PASSWORD,
            "capf_activate": True,
            "capf_enterprise_parameters": {"CAPF Phone Port": self.capf},
            "capf_server_run_as": "process",
            "capf_server_python": sys.executable,
            "capf_server_directory": str(self.directory / "server"),
            "capf_server_configuration": str(self.directory / "capf.toml"),
            "capf_server_state_directory": str(self.state),
            "capf_server_wheelhouse_cache": str(ROOT / ".cache" / "wheelhouse"),
            "capf_server_administration_addresses": ["127.0.0.1"],
            "capf_server_administration_port": self.administration,
            "capf_server_capf_addresses": ["127.0.0.1"],
            "capf_server_files_addresses": ["127.0.0.1"],
            "capf_server_files_port": self.files,
            "capf_server_certificates": str(self.directory / "certificates"),
            **variables,
        }
        argv: tuple[str | Path, ...] = (
            f"ucm.capf.{playbook}",
            "-i",
            self.directory / "inventory",
            *extra_vars(self.directory, given),
        )
        more = {"ANSIBLE_COLLECTIONS_PATH": str(collections)} if collections else {}
        status, output = ansible_playbook(*argv, *options, cwd=self.directory, variables=more)
        found = re.findall(r"node\d .*changed=(\d+)", output)
        return status, sum(map(int, found)) if found else -1, output

    @property
    def pid(self) -> int:
        """The server's process."""
        return int((self.state / "capf.pid").read_text())


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose server is stopped at the end."""
    made = Deployment(tmp_path)
    yield made
    if (made.state / "capf.pid").exists():
        os.kill(made.pid, signal.SIGTERM)


def test_deploy_makes_a_first_node_and_is_idempotent(deployment: Deployment) -> None:
    status, changed, output = deployment.run()
    assert status == 0 and changed > 0, output
    assert "activated True" in output
    assert PASSWORD not in output
    fetched = deployment.directory / "certificates" / "capf.crt"
    assert fetched.read_bytes() == (deployment.state / "capf.crt").read_bytes()
    before = deployment.pid
    status, changed, output = deployment.run()
    assert (status, changed) == (0, 0), output
    assert deployment.pid == before
    status, changed, output = deployment.run(capf_server_node_name="192.0.2.7")
    assert status == 0 and changed > 0, output
    assert deployment.pid != before
    assert 'node_name = "192.0.2.7"' in (deployment.directory / "capf.toml").read_text()


def test_p59_check_mode_works_on_an_empty_host_and_absent_keeps_the_data(deployment: Deployment) -> None:
    status, changed, output = deployment.run("--check")
    assert status == 0 and changed > 0, output
    assert not deployment.state.exists() and not (deployment.directory / "server").exists()
    assert deployment.run()[0] == 0
    key, pid = (deployment.state / "capf.crt").read_bytes(), deployment.pid
    status, changed, output = deployment.run("--tags", "capf_server_configure")
    assert (status, changed) == (0, 0), output
    status, changed, output = deployment.run("--check", capf_server_state="absent")
    assert status == 0 and changed > 0 and (deployment.directory / "server").exists(), output
    os.kill(pid, 0)
    status, changed, output = deployment.run(capf_server_state="absent")
    assert status == 0 and changed > 0 and "Its data is kept" in output, output
    assert not Path("/proc", str(pid)).exists() and not (deployment.directory / "server").exists()
    assert (deployment.state / "capf.crt").read_bytes() == key and not (deployment.directory / "capf.toml").exists()
    status, changed, output = deployment.run(capf_server_state="absent", capf_server_remove_data=True)
    assert status == 0 and changed == 1 and not deployment.state.exists(), output


def test_p89_a_changed_password_takes_effect_and_stays(deployment: Deployment) -> None:
    assert deployment.run()[0] == 0
    pid, new = deployment.pid, "a new pass phrase"
    status, changed, output = deployment.run("--check", capf_password=new)
    assert changed == 1 and "administrator name or password is wrong" in output, output
    status, changed, output = deployment.run("--diff", "-v", capf_password=new)
    assert (status, changed) == (0, 1), output
    assert new not in output and deployment.pid == pid
    assert deployment.run(capf_password=new)[:2] == (0, 0)


def test_deploy_asks_the_server_where_it_listens(deployment: Deployment) -> None:
    addresses: dict[str, Any] = {"capf_server_administration_addresses": ["127.0.0.2"], "capf_server_names": ["node1"]}
    status, _changed, output = deployment.run(**addresses)
    assert status == 0 and "activated True" in output, output


def test_r20_a_restore_that_fails_leaves_no_copy_of_the_backup(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, archive = deployment.directory / "temporary", deployment.directory / "backup.tar.gz"
    temporary.mkdir()
    archive.write_bytes(b"no archive")
    monkeypatch.setenv("TMPDIR", str(temporary))
    status, _changed, output = deployment.run(playbook="restore", restore_archive=str(archive), restore_plain=True)
    assert status == 2 and "Remove the copy of the archive" in output, output
    left = [path for path in deployment.directory.rglob("*") if path.is_file() and path.read_bytes() == b"no archive"]
    assert left == [archive]


def test_p24_a_bad_configuration_never_replaces_a_running_one(deployment: Deployment) -> None:
    assert deployment.run()[0] == 0
    text, pid = (deployment.directory / "capf.toml").read_text(), deployment.pid
    status, _changed, output = deployment.run(capf_server_files_addresses=["not-an-address"])
    assert status == 2 and "files.addresses: 'not-an-address' is refused" in output, output
    assert (deployment.directory / "capf.toml").read_text() == text
    os.kill(pid, 0)


def test_an_argument_that_is_no_choice_is_named(deployment: Deployment) -> None:
    status, _changed, output = deployment.run(capf_server_run_as="magic")
    assert status == 2
    assert "value of capf_server_run_as must be one of: systemd, process, got: magic" in output


def ask(port: int, state: Path, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Return the answer of a deployed node's API."""
    headers = {"Authorization": f"Basic {token()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://127.0.0.1:{port}/api/v1{path}", data, headers, method=method)
    trust = ssl.create_default_context(cafile=str(state / "administration.crt"))
    try:
        with urllib.request.urlopen(request, timeout=60, context=trust) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))


def test_r13_deploy_makes_subscribers_on_which_capf_cannot_be_activated(deployment: Deployment) -> None:
    (deployment.directory / "inventory").write_text(
        "[capf]\nnode1 ansible_connection=local ansible_host=127.0.0.1\n"
        "[capf_subscribers]\nnode2 ansible_connection=local ansible_host=localhost capf_node_call_processing=false\n"
    )
    administration, files = free_ports(2)
    second = Deployment(deployment.directory / "node2")
    each = {
        "node1": {"state": str(deployment.state), "port": deployment.administration, "files": deployment.files},
        "node2": {"state": str(second.state), "port": administration, "files": files},
    }
    variables: dict[str, Any] = {
        "each": each,
        "capf_server_state_directory": "{{ each[inventory_hostname].state }}",
        "capf_server_configuration": "{{ each[inventory_hostname].state }}.toml",
        "capf_server_administration_port": "{{ each[inventory_hostname].port }}",
        "capf_server_files_port": "{{ each[inventory_hostname].files }}",
    }
    try:
        status, _changed, output = deployment.run(**variables)
        assert status == 0 and PASSWORD not in output, output
        assert [
            node["role"] for node in ask(deployment.administration, deployment.state, "GET", "/nodes")["nodes"]
        ] == [
            "CCM_TFTP",
            "TFTP",
        ]
        refused = ask(administration, second.state, "PUT", "/service", {"activated": True})
        assert "first node only" in refused["error"]["message"]
        assert ask(deployment.administration, deployment.state, "GET", "/service")["activated"]
        published = ask(deployment.administration, deployment.state, "POST", "/nodes/publish", {})
        assert published["complete"] and published["nodes"][0]["sent"] == 2
        status, changed, output = deployment.run(**variables)
        assert (status, changed) == (0, 0), output
    finally:
        if (second.state / "capf.pid").exists():
            os.kill(second.pid, signal.SIGTERM)
