# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGTERM: open sessions may finish, within a limit below that of the unit; a second signal exits immediately (P23)."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from capf.model import InvalidRequestError
from capf.node import configuration
from capf.phone_session.wire import Command, Tag
from capf.process import server
from support.client import Client
from support.enrolment import PHONE, STRING, enrol_by_retries, schedule_by_string
from support.node import RunningNode
from support.waiting import until

ROLE = Path(__file__).parents[2] / "roles" / "capf_server"
Make = Callable[[int], RunningNode]


@pytest.fixture
def draining(tmp_path: Path) -> Iterator[Make]:
    """Return a function that creates an activated node with this drain time in seconds."""
    made: list[RunningNode] = []

    def make(seconds: int) -> RunningNode:
        node = RunningNode(tmp_path / "node")
        node.config.write_text(node.config.read_text().replace("drain_seconds = 1\n", f"drain_seconds = {seconds}\n"))
        made.append(node.start())
        node.activate()
        schedule_by_string(node)
        return node

    yield make
    for node in made:
        assert node.process is not None
        with suppress(ProcessLookupError):
            node.process.kill()
        node.process.wait()


def under_way(node: RunningNode) -> Client:
    """Return a session in key generation."""
    client = Client(node.capf_port, PHONE)
    assert client.authenticate(STRING).command is Command.KEY_GENERATE_REQUEST
    return client


def terminate(node: RunningNode) -> None:
    """Send SIGTERM, and wait until no more phones are accepted."""
    assert node.process is not None
    node.process.send_signal(signal.SIGTERM)
    with suppress(ConnectionError):
        while True:
            socket.create_connection(("127.0.0.1", node.capf_port)).close()


def test_p23_a_session_under_way_finishes_and_the_process_ends(draining: Make) -> None:
    node = draining(60)
    client = under_way(node)
    terminate(node)
    client.send_key()
    assert client.confirm().elements[Tag.REASON] == b"\x01"
    assert node.process is not None and node.process.wait(30) == 0
    node.start()
    assert node.phone(PHONE)["lsc"] == "Installed"


def test_p23_a_session_that_does_not_finish_is_given_back(draining: Make) -> None:
    node = draining(1)
    client = under_way(node)
    terminate(node)
    assert node.process is not None and node.process.wait(30) == 0
    client.close()
    node.start()
    enrol_by_retries(node, string=STRING)
    assert node.phone(PHONE)["lsc"] == "Installed"


def test_p23_a_second_signal_ends_at_once(draining: Make) -> None:
    node = draining(600)
    client = under_way(node)
    terminate(node)
    assert node.process is not None and node.process.poll() is None
    assert node.stop() == 1
    client.close()


def test_p23_a_database_that_hangs_does_not_keep_the_process(draining: Make) -> None:
    node = draining(1)
    client = under_way(node)
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert node.stop() in (0, 1)
    client.close()
    node.start()
    enrol_by_retries(node, string=STRING)


@pytest.mark.parametrize("seconds", [0, 10, 600])
def test_p23_the_unit_waits_longer_than_the_server_needs(seconds: int) -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    defaults["capf_server_drain_seconds"] = seconds
    environment = Environment(autoescape=False)
    environment.filters["bool"] = bool
    unit = environment.from_string((ROLE / "templates" / "capf.service.j2").read_text())
    found = re.search(r"TimeoutStopSec=(\d+)", unit.render(ansible_managed="", **defaults))
    assert found and int(found[1]) > seconds + server.SECONDS_AFTER_THE_DRAIN


def test_p23_the_drain_is_bounded() -> None:
    with pytest.raises(InvalidRequestError, match=r"capf.drain_seconds: '601' is refused"):
        configuration.parse('[server]\nstate_directory = "/srv"\n[capf]\ndrain_seconds = 601')


def test_p36_a_damaged_phone_does_not_end_the_process(draining: Make, tmp_path: Path) -> None:
    node = draining(1)
    node.stop()
    node.configure("files", tftp_directory=str(tmp_path)).start()
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as connection:
        connection.execute("UPDATE phones SET device_security_mode = 'Strange'")
    node.ok("POST", "/phones", {"phones": [{"device_name": PHONE, "description": "changed"}]})
    until(lambda: "event=damaged-row" in node.log.read_text(), 30)
    assert node.process is not None and node.process.poll() is None
    assert "'Strange' is not a valid" in node.log.read_text()
