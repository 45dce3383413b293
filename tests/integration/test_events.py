# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source in a real ansible-rulebook with the collection's rulebook, against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.client import Client
from support.node import RunningNode
from support.plays import PLAYBOOK, environment
from support.requesting import ADMINISTRATOR, PASSWORD

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
KEY = {"key_order": "EC Only", "ec_key_size": 256}
STRING = {"authentication_mode": "By Authentication String", **KEY}
RULEBOOK = PLAYBOOK.with_name("ansible-rulebook")
SECONDS = 120


class Watching:
    """A running ansible-rulebook whose playbook writes each event to a file."""

    def __init__(self, node: RunningNode) -> None:
        self.directory = node.directory / "eda"
        self.directory.mkdir()
        self.log = self.directory / "rulebook.log"
        (self.directory / "inventory").write_text(
            f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        )
        task = {"ansible.builtin.shell": "echo '{{ ansible_eda.event.capf | to_json }}' >> " + str(self.file)}
        (self.directory / "note.yml").write_text(
            yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}])
        )
        variables = {
            "capf_host": "127.0.0.1",
            "capf_port": node.port,
            "capf_administrator": ADMINISTRATOR,
            "capf_password": PASSWORD,
            "capf_ca_path": str(node.state / "administration.crt"),
            "capf_cursor_file": str(self.cursor),
            "capf_expires_within": 3650,
            **dict.fromkeys(("capf_on_failure", "capf_on_stop", "capf_on_expiry"), str(self.directory / "note.yml")),
        }
        (self.directory / "variables.yml").write_text(yaml.safe_dump(variables))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        """The file of the playbook."""
        return self.directory / "events"

    @property
    def cursor(self) -> Path:
        """The cursor file of the source."""
        return self.directory / "cursor"

    def start(self) -> None:
        """Start ansible-rulebook."""
        path = f"{PLAYBOOK.parent}:{os.environ['PATH']}"
        java = Path(str(shutil.which("java"))).resolve().parents[1]
        variables = {**environment(), "PATH": path, "JAVA_HOME": str(java)}
        argv: list[str | Path] = [RULEBOOK, "-r", "ucm.capf.watch", "-i", "inventory", "-e", "variables.yml"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=self.directory, env=variables, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop ansible-rulebook."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def until(self, *wanted: tuple[str, str]) -> list[dict[str, Any]]:
        """Wait until exactly these events, by kind and device name, were written; return them."""
        limit = time.monotonic() + SECONDS
        while True:
            lines = self.file.read_text().splitlines() if self.file.exists() else []
            events = [json.loads(line) for line in lines]
            if len(events) >= len(wanted):
                break
            assert time.monotonic() < limit, self.log.read_text()
            time.sleep(0.2)
        assert sorted((event["kind"], event["device_name"]) for event in events) == sorted(wanted)
        return events


@pytest.fixture
def watching(node: RunningNode) -> Iterator[Watching]:
    """A rulebook that is not started yet, with an activated node and three phones."""
    node.activate()
    phones = [{"device_name": A, **STRING}, {"device_name": B, **STRING}, {"device_name": C, **KEY}]
    node.ok("POST", "/phones", {"phones": phones})
    node.schedule(A, B, C)
    made = Watching(node)
    yield made
    made.stop()


def enter_wrong_string(node: RunningNode, name: str) -> None:
    """Send a wrong string for a phone, which is refused."""
    right = node.phone(name)["authentication_string"]
    phone = Client(node.capf_port, name)
    phone.authenticate("0000" if right != "0000" else "1111")
    phone.close()


def test_the_rulebook_acts_on_failures_and_expiry_once_and_outlives_restarts(
    node: RunningNode, watching: Watching
) -> None:
    phone = Client(node.capf_port, C)
    phone.authenticate()
    phone.send_key()
    phone.confirm()
    phone.close()
    watching.cursor.write_text("0\n")
    enter_wrong_string(node, A)
    watching.start()
    first = [("claim_refused", A), ("lsc_expires", C)]
    (failed,) = [event for event in watching.until(*first) if event["kind"] == "claim_refused"]
    assert failed["detail"]["status"] == "Upgrade Failed: Invalid Authentication String"
    node.stop()
    node.start()
    enter_wrong_string(node, B)
    both = [*first, ("claim_refused", B)]
    watching.until(*both)
    watching.stop()
    watching.start()
    node.schedule(A, operation="No Pending Operation")
    node.schedule(A)
    enter_wrong_string(node, A)
    watching.until(*both, ("claim_refused", A))
    log = watching.log.read_text()
    assert PASSWORD not in log and PASSWORD not in watching.file.read_text()


def test_a_wrong_password_ends_the_source_with_a_clear_word(node: RunningNode, watching: Watching) -> None:
    variables = yaml.safe_load((watching.directory / "variables.yml").read_text())
    (watching.directory / "variables.yml").write_text(yaml.safe_dump({**variables, "capf_password": "wrong-password"}))
    watching.start()
    assert watching.process is not None
    watching.process.wait(SECONDS)
    assert "administrator name or password is wrong" in watching.log.read_text()


def test_events_are_waited_for_and_answered_as_soon_as_they_come(node: RunningNode, watching: Watching) -> None:
    start = node.ok("GET", "/events?wait=0")["cursor"]
    begin = time.monotonic()
    assert node.ok("GET", f"/events?after={start}&wait=1")["events"] == [] and time.monotonic() - begin >= 1
    enter_wrong_string(node, A)
    (event,) = node.ok("GET", f"/events?after={start}&wait=60")["events"]
    assert (event["kind"], event["device_name"]) == ("claim_refused", A)
    status, answer = node.api("GET", "/events?after=nonsense")
    assert status == 422 and answer["error"]["problems"][0]["field"] == "after"
