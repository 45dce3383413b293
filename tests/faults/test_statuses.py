# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every Operation Status, produced over the wire (P5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capf.phone_session.wire import Command, Message, Tag, pack_certificates
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST
from capf_lab.flash import Flash
from support.client import Client
from support.identity import Manufacturer, hold, new_ec_key, public_der
from support.node import RunningNode
from support.waiting import until

A, B = "SEP00000000000A", "SEP00000000000B"
STRING = "By Authentication String"
NULL = "By Null String"
LSC_FIRST = "By Existing Certificate (precedence to LSC)"
MIC_FIRST = "By Existing Certificate (precedence to MIC)"
FAMILIES = {"Install/Upgrade": "Upgrade", "Delete": "Delete", "Troubleshoot": "Troubleshoot"}
ANSWERS = {
    "Install/Upgrade": Command.STORE_CERTIFICATE_RESPONSE,
    "Delete": Command.DELETE_CERTIFICATE_RESPONSE,
    "Troubleshoot": Command.FETCH_CERTIFICATE_RESPONSE,
}


@dataclass
class World:
    """A node and a phone with MIC and LSC; ``other`` is the flash of another phone of the same manufacturer."""

    node: RunningNode
    phone: Flash
    other: Flash

    def schedule(self, operation: str, mode: str = MIC_FIRST, **settings: object) -> None:
        """Schedule an operation for the phone, by default with authentication."""
        self.node.schedule(A, operation=operation, authentication_mode=mode, force=True, **settings)

    def call(self) -> Client:
        """Connect as the phone."""
        return Client(self.node.capf_port, A)

    def enter(self, client: Client) -> Message:
        """Authenticate the phone; return CAPF's answer."""
        return client.prove(self.phone, MODE_MIC_FIRST)

    def shown(self) -> str:
        """Wait for the status of a refused operation, which stays open, and return it."""
        until(lambda: self.node.phone(A)["operation_status"] != "Operation Pending", 5)
        phone = self.node.phone(A)
        assert (phone["operation_state"], phone["refusals"]) == ("pending", 1)
        self.node.schedule(A, operation="No Pending Operation")
        return str(phone["operation_status"])

    def status(self) -> str:
        """Wait until the operation has ended, and return its status."""
        self.node.wait(A)
        return str(self.node.phone(A)["operation_status"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world of these tests; each test schedules its own operation."""
    directory: Path = tmp_path_factory.mktemp("statuses")
    manufacturer = Manufacturer(directory)
    node = RunningNode(directory / "node", manufacturing_ca=manufacturer.ca).start()
    node.activate()
    settings = {"key_order": "EC Only", "ec_key_size": 256, "mic": True}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **settings} for name in (A, B)]})
    phones = [manufacturer.phone(name) for name in (A, B)]
    yield World(node, *phones)
    node.stop()


@pytest.fixture(autouse=True)
def lsc(world: World) -> None:
    """Install an LSC on both phones, because Delete and Troubleshoot require one."""
    for name, flash in ((A, world.phone), (B, world.other)):
        if world.node.phone(name)["lsc"] == "Installed":
            continue
        world.node.schedule(name, authentication_mode="By Null String", force=True)
        client, key = Client(world.node.capf_port, name), new_ec_key()
        client.authenticate()
        hold(flash, client.send_key(public_der(key)), key)
        client.confirm()
        client.close()
        assert world.node.wait(name)["by_status"] == {"Upgrade Success": 1}


def act(client: Client, operation: str, reason: int, certificate: bytes | None = None) -> Message:
    """Carry out the granted operation with ``reason`` in the last message of the phone; return CAPF's answer."""
    elements = {int(Tag.REASON): bytes((reason,))}
    if operation == "Install/Upgrade":
        client.send_key()
    if certificate is not None:
        elements[int(Tag.CERTIFICATE)] = certificate
    client.send(ANSWERS[operation], elements)
    return client.receive()


@pytest.mark.parametrize("operation", FAMILIES)
def test_p5_code_0_success_is_what_the_phone_acknowledged(world: World, operation: str) -> None:
    world.schedule(operation)
    client = world.call()
    world.enter(client)
    assert world.phone.lsc is not None
    package = pack_certificates(((1, world.phone.lsc.der),)) if operation == "Troubleshoot" else None
    assert world.node.phone(A)["operation_status"] == "Operation Pending"
    act(client, operation, 1, package)
    assert world.status() == f"{FAMILIES[operation]} Success"


def test_p5_code_1_a_phone_without_certificate_is_a_success_of_troubleshoot(world: World) -> None:
    world.schedule("Troubleshoot")
    client = world.call()
    world.enter(client)
    assert act(client, "Troubleshoot", 7).elements[Tag.REASON] == b"\x00"
    assert world.status() == "Troubleshoot Success"
    assert world.node.phone(A)["last_problem"] == "the phone has no certificate"


@pytest.mark.parametrize("reason", [0, 2, 7, 9, 255])
@pytest.mark.parametrize("operation", ["Install/Upgrade", "Delete"])
def test_p5_code_2_a_failure_reason_of_the_phone_is_never_done(world: World, operation: str, reason: int) -> None:
    before = world.node.phone(A)["lsc_serial_number"]
    world.schedule(operation)
    client = world.call()
    world.enter(client)
    assert act(client, operation, reason).elements[Tag.REASON] == b"\x07"
    assert world.status() == f"{FAMILIES[operation]} Failed"
    assert world.node.phone(A)["lsc_serial_number"] == before


def test_p5_code_2_troubleshoot_with_a_damaged_package(world: World) -> None:
    world.schedule("Troubleshoot")
    client = world.call()
    world.enter(client)
    act(client, "Troubleshoot", 1, b"\x01\xff\xff")
    assert world.status() == "Troubleshoot Failed"


def test_p5_code_2_a_key_of_another_kind(world: World) -> None:
    world.schedule("Install/Upgrade", key_order="RSA Only")
    client = world.call()
    world.enter(client)
    client.send(Command.KEY_GENERATE_RESPONSE, {Tag.PUBLIC_KEY: public_der(new_ec_key())})
    assert client.receive().elements[Tag.REASON] == b"\x07"
    assert world.status() == "Upgrade Failed"
    assert "RSA 2048 is scheduled" in world.node.phone(A)["last_problem"]


@pytest.mark.parametrize("operation", FAMILIES)
@pytest.mark.parametrize("command", [Command.ABORT_REQUEST, Command.END_SESSION])
def test_p5_p8_code_2_the_phone_user_stops(world: World, operation: str, command: Command) -> None:
    world.schedule(operation)
    client = world.call()
    world.enter(client)
    client.send(command, {})
    assert world.status() == f"{FAMILIES[operation]} Failed"
    assert world.node.phone(A)["last_problem"] == "aborted by the phone user"


@pytest.mark.parametrize("operation", FAMILIES)
def test_p5_code_3_a_wrong_string(world: World, operation: str) -> None:
    world.schedule(operation, STRING)
    assert world.call().authenticate("0000").elements[Tag.REASON] == b"\x07"
    assert world.shown() == f"{FAMILIES[operation]} Failed: Invalid Authentication String"


def foreign(world: World) -> Flash:
    """Return a phone of an untrusted manufacturer, with an LSC issued by it."""
    stranger = Manufacturer(world.node.directory, "Stranger")
    flash = stranger.phone(A)
    flash.store_lsc(stranger.sign(A))
    return flash


CREDENTIALS: dict[str, tuple[str, int, Callable[[World], Flash], dict[str, bytes | None], str]] = {
    "no LSC": (LSC_FIRST, MODE_LSC_FIRST, lambda w: w.phone, {"CERTIFICATE": None}, "Invalid LSC"),
    "an LSC of a stranger": (LSC_FIRST, MODE_LSC_FIRST, foreign, {}, "Invalid LSC"),
    "an LSC with a bad signature": (LSC_FIRST, MODE_LSC_FIRST, lambda w: w.phone, {"SIGNED_DATA": b"x"}, "Invalid LSC"),
    "no MIC": (MIC_FIRST, MODE_MIC_FIRST, lambda w: w.phone, {"CERTIFICATE": None}, "Invalid MIC"),
    "a MIC of a stranger": (MIC_FIRST, MODE_MIC_FIRST, foreign, {}, "Invalid MIC"),
    "a MIC with a bad signature": (MIC_FIRST, MODE_MIC_FIRST, lambda w: w.phone, {"SIGNED_DATA": b"x"}, "Invalid MIC"),
    "an LSC of another phone": (LSC_FIRST, MODE_LSC_FIRST, lambda w: w.other, {}, "Invalid Credentials"),
    "a MIC of another phone": (MIC_FIRST, MODE_MIC_FIRST, lambda w: w.other, {}, "Invalid Credentials"),
}


@pytest.mark.parametrize("operation", FAMILIES)
@pytest.mark.parametrize("case", CREDENTIALS)
def test_p5_codes_4_to_6_certificates_that_do_not_fit(world: World, operation: str, case: str) -> None:
    mode, wire, flash, changes, suffix = CREDENTIALS[case]
    world.schedule(operation, mode)
    assert world.call().prove(flash(world), wire, changes=changes).elements[Tag.REASON] == b"\x07"
    assert world.shown() == f"{FAMILIES[operation]} Failed: {suffix}"


@pytest.mark.parametrize("operation", FAMILIES)
@pytest.mark.parametrize(("mode", "wire"), [(LSC_FIRST, MODE_LSC_FIRST), (MIC_FIRST, MODE_MIC_FIRST)])
def test_p5_the_right_certificate_lets_the_phone_in(world: World, operation: str, mode: str, wire: int) -> None:
    world.schedule(operation, mode)
    client = world.call()
    assert client.prove(world.phone, wire).command is not Command.END_SESSION
    client.close()
    world.node.schedule(A, operation="No Pending Operation")


@pytest.mark.parametrize("operation", FAMILIES)
def test_p5_code_7_four_lost_sessions(world: World, operation: str) -> None:
    world.schedule(operation)
    for _index in range(4):
        client = world.call()
        limit = time.monotonic() + 10
        while world.enter(client).command is Command.END_SESSION:  # the server has not noticed the loss yet
            assert time.monotonic() < limit
            client.close()
            client = world.call()
        assert world.node.phone(A)["operation_status"] == "Operation Pending"
        client.close()
    assert world.status() == f"{FAMILIES[operation]} Failed: Phone Communication Failure"


def test_p5_p8_code_8_failed_attempts_count_to_the_parameter(world: World) -> None:
    attempts = {"parameters": {"Maximum Allowable Attempts For Key Generation": 2}}
    world.node.ok("PUT", "/service-parameters", attempts)
    world.node.ok("POST", "/service/restart", {})
    world.schedule("Install/Upgrade")
    client = world.call()
    answer, requests = world.enter(client), 0
    while answer.command is Command.KEY_GENERATE_REQUEST:
        requests += 1
        client.send(Command.KEY_GENERATE_RESPONSE, {Tag.REASON: b"\x07"})
        answer = client.receive()
    assert (requests, answer.elements[Tag.REASON]) == (3, b"\x07")
    assert world.status() == "Upgrade Failed: Key Generation Failed/Timeout"


@pytest.mark.parametrize("operation", FAMILIES)
def test_p5_p8_code_11_a_session_after_the_deadline(world: World, operation: str) -> None:
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    world.schedule(operation, STRING, completes_by=deadline.isoformat())
    string = world.node.phone(A)["authentication_string"]
    time.sleep(max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + 0.1)
    # The server ends operations at their deadline every second; then nothing is scheduled.
    assert world.call().authenticate(string).elements[Tag.REASON] in (b"\x07", b"\x00")
    assert world.status() == f"{FAMILIES[operation]} Failed: User Initiated Request Late/Timedout"
    assert world.node.phone(A)["authentication_string"] == ""


def test_p5_p33_a_refusal_becomes_the_status_at_the_deadline(world: World) -> None:
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    world.schedule("Install/Upgrade", STRING, completes_by=deadline.isoformat())
    world.call().authenticate("0000")
    assert world.status() == "Upgrade Failed: Invalid Authentication String"
    phone = world.node.phone(A)
    assert (phone["authentication_string"], phone["last_problem"]) == ("", "a wrong string")
    assert datetime.now(UTC) >= deadline


@pytest.mark.parametrize("how", ["abort", "not stored"])
def test_p5_p33_by_null_string_a_failure_is_shown_and_ends_nothing(world: World, how: str) -> None:
    world.schedule("Install/Upgrade", NULL)
    client = world.call()
    client.authenticate()
    if how == "abort":
        client.send(Command.ABORT_REQUEST, {})
        until(lambda: world.node.phone(A)["last_problem"] == "aborted by the phone user", 5)
        assert world.node.phone(A)["operation_state"] == "pending"
    else:
        act(client, "Install/Upgrade", 7)
        assert world.node.phone(A)["operation_state"] == "issued"
    assert world.node.phone(A)["operation_status"] == "Upgrade Failed"
    again = world.call()
    again.authenticate()
    act(again, "Install/Upgrade", 1)
    assert world.status() == "Upgrade Success"


def test_p5_ec_only_is_not_for_a_version_2_client(world: World) -> None:
    world.schedule("Install/Upgrade", mode=NULL, key_order="EC Only")
    assert world.call().authenticate(version=2).elements[Tag.REASON] == b"\x07"
    assert world.shown() == "Upgrade Failed: No Support for EC only in CAPF version 3"


def test_p5_a_session_that_ends_without_confirmation_is_not_done(world: World) -> None:
    before = world.node.phone(A)["lsc_serial_number"]
    world.schedule("Install/Upgrade")
    client = world.call()
    world.enter(client)
    client.send_key()
    client.close()
    phone = world.node.phone(A)
    assert (phone["operation_status"], phone["lsc_serial_number"]) == ("Operation Pending", before)
