# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""No action without its audit row, for every action of phones and administrators (P22), with its actor (P28)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from capf.node import configuration
from capf.phone_session.wire import Command, Tag
from capf.store import schema
from support.client import Client, new_public_key
from support.node import ADMINISTRATOR, CAPF, RunningNode

A, B = "SEP00000000000A", "SEP00000000000B"
EC = {"key_order": "EC Only", "ec_key_size": 256}
PHONES = {"phones": [{"device_name": A, **EC}]}
WATCHED = (schema.phones, schema.operations, schema.certificates, schema.settings)
Row = tuple[Any, ...]


def rows(node: RunningNode) -> dict[str, list[Row]]:
    """Return everything in the database except the audit table and the probe that /readyz writes."""
    engine = create_engine(configuration.load(node.config).database)
    with engine.connect() as connection:
        found = {table.name: [tuple(row) for row in connection.execute(select(table))] for table in WATCHED}
    engine.dispose()
    found["settings"] = [row for row in found["settings"] if row[0] != "probe"]
    return {name: sorted(values, key=repr) for name, values in found.items()}


@contextmanager
def without_audit(node: RunningNode) -> Iterator[None]:
    """Remove the audit table."""
    engine = create_engine(configuration.load(node.config).database)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO audit_away")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_away RENAME TO audit")
    engine.dispose()


BY_STRING = {"authentication_mode": "By Authentication String"}
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "add phone": ("POST", "/phones", {"phones": [{"device_name": B}]}),
    "change phone": ("POST", "/phones", {"phones": [{"device_name": A, "description": "changed"}]}),
    "schedule operation": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A]}),
    "schedule with a string": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A], **BY_STRING}),
    "change service parameters": ("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}}),
    "change enterprise parameters": ("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": True}}),
    "deactivate": ("PUT", "/service", {"activated": False}),
    "restart service": ("POST", "/service/restart", {}),
    "reset phone": ("POST", "/phones/reset", {"phones": [A]}),
    "remove phone": ("POST", "/phones", {"phones": [{"device_name": A}], "state": "absent"}),
}


@pytest.mark.parametrize("act", REQUESTS)
def test_p22_no_audit_row_no_act_of_an_administrator(node: RunningNode, act: str) -> None:
    node.ok("POST", "/phones", PHONES)
    before, running = rows(node), node.ok("GET", "/service")["running"]
    with without_audit(node):
        status, _answer = node.api(*REQUESTS[act])
    assert status == 503
    assert rows(node) == before
    assert node.ok("GET", "/service")["running"] == running


def test_p22_no_audit_row_no_cancelling_and_no_unlocking(node: RunningNode) -> None:
    node.ok("POST", "/phones", PHONES)
    node.schedule(A, **BY_STRING)
    for _index in range(10):
        Client(node.capf_port, A).authenticate("0")
    node.schedule(A, **BY_STRING)
    before = rows(node)
    with without_audit(node):
        cancel = {"operation": "No Pending Operation", "phones": [A]}
        assert node.api("POST", "/operations", cancel)[0] == 503
        assert node.api("POST", "/phones/unlock", {"phones": [A]})[0] == 503
    assert rows(node) == before
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
    before = rows(node)
    with without_audit(node):
        take(client, step)
        assert rows(node) == before
    take(twin, step)
    assert rows(node) != before


def test_p22_p28_every_row_has_its_actor_and_the_chain_verifies(node: RunningNode) -> None:
    node.ok("POST", "/phones", PHONES)
    node.schedule(A)
    with closing(Client(node.capf_port, A)) as client:
        get_certificate(client)
        client.confirm()
    for method, path, body in REQUESTS.values():
        node.api(method, path, body)
    engine = create_engine(configuration.load(node.config).database)
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
