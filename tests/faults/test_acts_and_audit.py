# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""No action without its audit row, for every action of phones (P22), with its actor (P28)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from sqlalchemy import create_engine, select

from capf.phone_session.wire import Command, Tag
from capf.store import schema
from support.audited import BY_STRING, EC, PHONES, REQUESTS, A, B, rows, without_audit
from support.client import Client, new_public_key
from support.node import CAPF, RunningNode
from support.requesting import ADMINISTRATOR
from support.waiting import until


def test_p22_no_audit_row_no_cancelling_and_no_unlocking(node: RunningNode) -> None:
    node.ok("POST", "/phones", PHONES)
    node.schedule(A, **BY_STRING)
    for _index in range(10):
        Client(node.capf_port, A).authenticate("0")
    until(lambda: node.phone(A)["refusals"] == 10)  # they are written a moment later
    node.schedule(A, **BY_STRING)
    before = rows(node.database)
    with without_audit(node.database):
        cancel = {"operation": "No Pending Operation", "phones": [A]}
        assert node.api("POST", "/operations", cancel)[0] == 503
        assert node.api("POST", "/phones/unlock", {"phones": [A]})[0] == 503
    assert rows(node.database) == before
    assert node.ok("POST", "/phones/unlock", {"phones": [A]})["unlocked"] == [A]


def authenticate(client: Client) -> None:
    """Run a session until the phone's claim is granted."""
    assert client.authenticate().command is not Command.END_SESSION


def get_certificate(client: Client) -> None:
    """Run a session until the phone has its certificate."""
    authenticate(client)
    client.send_key()


def nothing(_client: Client) -> None:
    """Only connect."""


STEPS: dict[str, tuple[str, Callable[[Client], None], Command, dict[int, bytes]]] = {
    "claim": ("Install/Upgrade", nothing, Command.AUTH_RESPONSE, {}),
    "issue": ("Install/Upgrade", authenticate, Command.KEY_GENERATE_RESPONSE, {}),
    "confirm": ("Install/Upgrade", get_certificate, Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\1"}),
    "delete": ("Delete", authenticate, Command.DELETE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\1"}),
    "fetched": ("Troubleshoot", authenticate, Command.FETCH_CERTIFICATE_RESPONSE, {Tag.REASON: b"\7"}),
    "fail": ("Install/Upgrade", get_certificate, Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\7"}),
    "abort": ("Install/Upgrade", authenticate, Command.ABORT_REQUEST, {}),
    "lost": ("Install/Upgrade", authenticate, Command.ENCRYPT_REQUEST, {}),
}


def come_to(node: RunningNode, name: str, step: str) -> Client:
    """Run a session until the phone's next message is the step."""
    operation, lead, _command, _elements = STEPS[step]
    node.ok("POST", "/phones", {"phones": [{"device_name": name, "mic": True, **EC}]})
    if operation == "Delete":
        node.schedule(name)
        with closing(Client(node.capf_port, name)) as before:
            get_certificate(before)
            before.confirm()
    node.schedule(name, operation=operation)
    client = Client(node.capf_port, name)
    lead(client)
    return client


def take(client: Client, step: str) -> None:
    """Send the message of a step and wait for CAPF's answer."""
    _operation, _lead, command, elements = STEPS[step]
    if command is Command.AUTH_RESPONSE:
        client.say_hello()
    else:
        client.send(command, {Tag.PUBLIC_KEY: new_public_key()} if step == "issue" else elements)
    with suppress(EOFError, OSError):
        client.receive()
    client.close()


@pytest.mark.parametrize("step", STEPS)
def test_p22_no_audit_row_no_act_of_a_phone(node: RunningNode, step: str) -> None:
    client, twin = come_to(node, A, step), come_to(node, B, step)
    before = rows(node.database)
    with without_audit(node.database):
        take(client, step)
        assert rows(node.database) == before
    take(twin, step)
    assert rows(node.database) != before


def test_p22_p28_every_row_has_its_actor_and_the_chain_verifies(node: RunningNode) -> None:
    node.ok("POST", "/phones", PHONES)
    node.schedule(A)
    with closing(Client(node.capf_port, A)) as client:
        get_certificate(client)
        client.confirm()
    for method, path, body in REQUESTS.values():
        node.api(method, path, body)
    engine = create_engine(node.database)
    with engine.connect() as connection:
        actors = {row.action: row.actor for row in connection.execute(select(schema.audit))}
    engine.dispose()
    assert all(actors.values())
    by_administrator = {"add phone", "change phone", "remove phone", "schedule operation", "reset phone"}
    assert {actors[action] for action in by_administrator} == {ADMINISTRATOR}
    assert actors["claim operation"] == "127.0.0.1"
    assert {actors["issue certificate"], actors["operation done"], actors["recover"]} == {"capf"}
    assert actors["make account"] == "capf init"
    done = subprocess.run(
        [CAPF, "audit", "verify", "--config", node.config], check=True, capture_output=True, text=True
    )
    assert "is unchanged" in done.stdout
