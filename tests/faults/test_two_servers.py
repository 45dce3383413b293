# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two servers of one database form the first node: one continues if the other fails (R13, R18)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capf.phone_session.wire import Command
from support.client import Client
from support.enrolment import PHONE, STRING, enrol, enrol_by_retries, schedule_by_string
from support.node import RunningNode
from support.postgresql import PostgreSQL
from support.waiting import until

SECOND = "127.0.0.2"


@pytest.fixture
def pair(cluster: PostgreSQL, tmp_path: Path) -> Iterator[tuple[RunningNode, RunningNode]]:
    """Two running servers, on which CAPF is not activated."""
    database = cluster.new_database(cluster.template)
    first = RunningNode(tmp_path / "node1", database=database).start()
    second = RunningNode(tmp_path / "node2", database=database, like=first)
    second.configure("server", node_name="node2").configure("capf", addresses=[SECOND], addresses_ipv6=[]).start()
    yield first, second
    for node in (first, second):
        if node.process is not None and node.process.poll() is None:
            node.stop()


def runs(node: RunningNode) -> bool:
    """Return whether CAPF runs on a server."""
    return bool(node.ok("GET", "/service")["running"])


def test_r13_servers_of_one_database_have_one_activation(pair: tuple[RunningNode, RunningNode]) -> None:
    first, second = pair
    assert not runs(second)
    first.activate()
    until(lambda: runs(second), 60)
    second.ok("PUT", "/service-parameters", {"parameters": {"Duration Of Certificate Validity": 3}})
    assert first.ok("GET", "/service")["restart_required"]
    second.ok("POST", "/service/restart", {})
    until(lambda: not first.ok("GET", "/service")["restart_required"], 60)
    second.ok("PUT", "/service", {"activated": False})
    until(lambda: not runs(first), 60)


def test_r18_what_a_dead_server_held_is_done_by_the_other_one(pair: tuple[RunningNode, RunningNode]) -> None:
    first, second = pair
    first.activate()
    schedule_by_string(first)
    until(lambda: runs(second), 60)
    held = Client(first.capf_port, PHONE, SECOND)
    assert held.authenticate(STRING).command is Command.KEY_GENERATE_REQUEST
    second.stop(signal.SIGKILL)
    held.close()
    with pytest.raises(AssertionError):
        enrol(first, string=STRING)
    enrol_by_retries(first, seconds=60, string=STRING)
    assert first.phone(PHONE)["lsc"] == "Installed"
    assert "event=taken-over operations=1 from=node2" in first.log.read_text()


def test_r18_a_server_that_lives_keeps_what_it_holds(pair: tuple[RunningNode, RunningNode]) -> None:
    first, second = pair
    first.activate()
    schedule_by_string(first)
    until(lambda: runs(second), 60)
    held = Client(first.capf_port, PHONE, SECOND)
    assert held.authenticate(STRING).command is Command.KEY_GENERATE_REQUEST
    time.sleep(30)
    held.send_key()
    held.confirm()
    held.close()
    assert first.phone(PHONE)["lsc"] == "Installed"
    assert "event=taken-over" not in first.log.read_text()
