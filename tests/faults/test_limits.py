# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deadlines and limits of the CAPF port, and messages in one TLS record (P14, P17, P18)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf.model import KeySpec, Operation
from capf.phone_session.dialogue import Patience, dialogue
from capf.phone_session.effects import Effect, Granted, Issued, Receive, Reply, Send, Silence
from capf.phone_session.wire import Command, Message, Tag, decode, string
from support.client import Client, new_public_key
from support.node import RunningNode
from support.verdicts import HELD

A = "SEP00000000000A"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[RunningNode]:
    """A node that allows three connections per address and one second for the handshake."""
    node = RunningNode(tmp_path / "node")
    limits = "[capf]\nmaximum_sessions_per_address = 3\nhandshake_seconds = 1\n"
    node.config.write_text(node.config.read_text().replace("[capf]\n", limits))
    node.start().activate()
    yield node
    node.stop()


def closed(connection: socket.socket) -> bool:
    """Wait for the server to hang up."""
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_p17_a_silent_client_is_closed_and_frees_its_slot(strict: RunningNode) -> None:
    for _round in range(2):
        connections = [socket.create_connection(("127.0.0.1", strict.capf_port)) for _index in range(3)]
        for connection in connections:
            assert closed(connection)
            connection.close()
    assert Client(strict.capf_port, A).session_id


def test_p17_an_address_has_its_share(strict: RunningNode) -> None:
    clients = [Client(strict.capf_port, A) for _index in range(3)]
    with socket.create_connection(("127.0.0.1", strict.capf_port)) as fourth:
        assert closed(fourth)
    clients[0].close()
    for client in clients[1:]:
        client.close()


def test_p18_one_message_is_one_tls_record(strict: RunningNode) -> None:
    settings = {"device_name": A, "key_order": "EC Only", "ec_key_size": 256}
    strict.ok("POST", "/phones", {"phones": [settings]})
    strict.schedule(A)
    client = Client(strict.capf_port, A)
    answers = {Tag.VERSION: b"\x03", Tag.DEVICE_NAME: string(A), Tag.PASSWORD: string("")}
    steps = (
        (Command.AUTH_RESPONSE, answers, Command.KEY_GENERATE_REQUEST),
        (Command.KEY_GENERATE_RESPONSE, {Tag.PUBLIC_KEY: new_public_key()}, Command.STORE_CERTIFICATE_REQUEST),
        (Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\x01"}, Command.END_SESSION),
    )
    for command, elements, expected in steps:
        client.send(command, {int(tag): value for tag, value in elements.items()})
        assert decode(client.receive_record()).command is expected


JUNK = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x55\xff\0\0\0\0\0\0",
    b"\x55\x02\0\0\0\0\xff\xff",
    b"\x55\x02\0\0\0\0\0\3\1\0\x09",
]


@pytest.mark.parametrize("junk", JUNK)
def test_p15_malformed_sessions_are_closed_with_one_line_each(strict: RunningNode, junk: bytes) -> None:
    sessions = 100
    for _index in range(sessions):
        client = Client(strict.capf_port, A)
        client.send_bytes(junk)
        with pytest.raises((EOFError, OSError)):
            client.receive()
        client.close()
    lines = strict.log.read_text().splitlines()
    assert sum("event=malformed" in line for line in lines) == sessions
    assert Client(strict.capf_port, A).session_id


values = st.one_of(st.binary(max_size=40), st.sampled_from([b"\x01", b"\x03", b"\x07", string(A), string("")]))
messages = st.builds(
    Message, st.sampled_from(Command), st.sampled_from([7, 8]), st.dictionaries(st.sampled_from(list(Tag)), values)
)
replies = st.lists(st.one_of(messages, st.sampled_from(Silence)), max_size=12)
ends = st.sampled_from([Granted(HELD, Operation.INSTALL, (KeySpec(ec=False, bits=2048),), attempts=3),
                        Granted(HELD, Operation.DELETE), Granted(HELD, Operation.TROUBLESHOOT)])  # fmt: skip


@given(replies, ends, st.booleans())
def test_p14_whatever_the_phone_says_the_dialogue_ends_with_one_outcome(
    heard: list[Message | Silence], granted: Granted, issued: bool
) -> None:
    incoming = iter(heard)
    outcomes = []
    steps = dialogue(7, "192.0.2.1", Patience())
    reply: Reply = None
    try:
        effect: Effect = next(steps)
        while True:
            kind = type(effect).__name__
            if isinstance(effect, Receive):
                reply = next(incoming, Silence.LOST)
            elif isinstance(effect, Send):
                reply = None
            else:
                reply = {"Claim": granted, "Issue": Issued(b"der", "0a") if issued else None}.get(kind)
            if kind in ("Confirm", "Fetched", "Fail", "Lost"):
                outcomes.append(kind)
            effect = steps.send(reply)
    except StopIteration:
        assert len(outcomes) <= 1
