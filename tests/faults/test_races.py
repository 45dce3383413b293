# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fifty concurrent sessions with one string, on one server and on two that share a database (P3)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from capf.phone_session.wire import Command, Tag
from support.client import Client
from support.node import RunningNode
from support.postgresql import PostgreSQL

A, SESSIONS = "SEP00000000000A", 50


def prepare(node: RunningNode) -> str:
    """Schedule an installation by string; return the string."""
    mode = {"authentication_mode": "By Authentication String", "key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": A, **mode}]})
    node.schedule(A)
    return str(node.phone(A)["authentication_string"])


def authenticate(client: Client, string: str) -> Command | None:
    """Send a string; return the server's answer, None if the session was closed to make room for another one."""
    try:
        return client.authenticate(string).command
    except (EOFError, OSError):
        return None


def race(port: int, string: str, hosts: Sequence[str] = ("127.0.0.1",)) -> None:
    """Let many sessions give the same right string at once: one goes on, the others are refused or closed, and then
    all are refused."""
    clients = [Client(port, A, hosts[index % len(hosts)]) for index in range(SESSIONS)]
    with ThreadPoolExecutor(SESSIONS) as pool:
        commands = list(pool.map(lambda client: authenticate(client, string), clients))
    assert commands.count(Command.KEY_GENERATE_REQUEST) == 1
    assert commands.count(Command.END_SESSION) + commands.count(None) == SESSIONS - 1
    winner = clients[commands.index(Command.KEY_GENERATE_REQUEST)]
    winner.send_key()
    assert winner.confirm().elements[Tag.REASON] == b"\x01"
    for client in clients:
        client.close()
    for host in hosts:
        assert Client(port, A, host).authenticate(string).elements[Tag.REASON] == b"\x00"


def test_p3_one_string_is_for_one_session(node: RunningNode) -> None:
    string = prepare(node)
    race(node.capf_port, string)
    assert node.phone(A)["authentication_string"] == ""
    assert node.phone(A)["operation_status"] == "Upgrade Success"


def test_p3_two_servers_share_a_database(cluster: PostgreSQL, tmp_path: Path) -> None:
    database = cluster.new_database(cluster.template)
    first = RunningNode(tmp_path / "node1", database=database).start()
    second = RunningNode(tmp_path / "node2", database=database, like=first)
    text = second.config.read_text().replace('node_name = "127.0.0.1"', 'node_name = "node2"')
    second.config.write_text(text.replace('[capf]\naddresses = ["127.0.0.1"]', '[capf]\naddresses = ["127.0.0.2"]'))
    try:
        first.activate()
        second.start()
        race(first.capf_port, prepare(first), ("127.0.0.1", "127.0.0.2"))
        assert second.phone(A)["operation_status"] == "Upgrade Success"
    finally:
        first.stop()
        second.stop()
