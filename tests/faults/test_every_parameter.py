# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every service and enterprise parameter is changed, and takes effect after a restart of the CAPF service (P24)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import pytest
from cryptography import x509

from capf.phone_session.wire import Command, Message, Tag
from capf.registry import parameters
from support.client import Client
from support.enrolment import PHONE, enrol, schedule
from support.node import RunningNode, free_ports
from support.settings_table import configuration, reachable

PORT = free_ports(1)[0]
Observe = Callable[[RunningNode], object]


@dataclass(frozen=True)
class Case:
    """A changed value of one parameter, and the observations with its default and with this value."""

    kind: str
    value: object
    observe: Observe
    before: object
    after: object


def years(node: RunningNode) -> int:
    """Return the validity of an LSC in years."""
    schedule(node)
    node.schedule(PHONE, key_order="EC Only", ec_key_size=256, force=True)
    client = Client(node.capf_port, PHONE)
    client.authenticate()
    certificate = x509.load_der_x509_certificate(client.send_key())
    client.close()
    return round((certificate.not_valid_after_utc - certificate.not_valid_before_utc).days / 365)


def requests(node: RunningNode) -> list[Message]:
    """Return the number of key requests to a phone that fails to generate a key."""
    phone = {"device_name": PHONE, "authentication_mode": "By Null String", "key_order": "RSA Only"}
    node.ok("POST", "/phones", {"phones": [phone]})
    node.schedule(PHONE, key_order="RSA Only", force=True)
    client = Client(node.capf_port, PHONE)
    answer, found = client.authenticate(), []
    while answer.command is Command.KEY_GENERATE_REQUEST:
        found.append(answer)
        client.send(Command.KEY_GENERATE_RESPONSE, {Tag.REASON: b"\x07"})
        answer = client.receive()
    client.close()
    return found


def key_size(node: RunningNode) -> int | None:
    """Return the key size in a key request."""
    return requests(node)[0].number(Tag.KEY_SIZE)


def after_a_minute(node: RunningNode) -> tuple[Command | None, str]:
    """Return the server's reaction to a phone that needs more than a minute for a key, and the operation's status."""
    schedule(node)
    client = Client(node.capf_port, PHONE)
    client.authenticate()
    time.sleep(63)
    heard = None if node.ok("GET", "/service")["sessions_open"] else client.receive().command
    status = node.phone(PHONE)["operation_status"]
    client.close()
    return heard, status


def in_force(name: str, kind: str) -> Observe:
    """Return an observation: the value that is in effect according to the API."""

    def observe(node: RunningNode) -> object:
        shown = node.ok("GET", f"/{kind}-parameters")["parameters"]
        return {item["name"]: item["in_force"] for item in shown}[name]

    return observe


def phones_use_the_other_port(node: RunningNode) -> bool:
    """Return whether this node's service listens on the port of the changed value."""
    return bool(node.ok("GET", "/service")["capf_phone_port"] == PORT) and reachable("127.0.0.1", PORT)


def days(node: RunningNode) -> int:
    """Return the default duration of an operation in days."""
    schedule(node)
    answer = node.schedule(PHONE, key_order="EC Only", force=True)
    return round((datetime.fromisoformat(answer["completes_by"]).timestamp() - time.time()) / 86400)


def warns_of_strings(node: RunningNode) -> bool:
    """Return whether scheduling by string warns."""
    schedule(node)
    answer = node.schedule(PHONE, authentication_mode="By Authentication String", force=True)
    return bool(answer["warnings"])


KEEP_ALIVE, SECURITY = "Keep-Alive Between CAPF And Phone", "Cluster Security Mode"
KEY_TIME = "Maximum Allowable Time For Key Generation"
PAST_ITS_TIME = (Command.END_SESSION, "Upgrade Failed: Key Generation Failed/Timeout")
CASES: dict[str, Case] = {
    "Duration Of Certificate Validity": Case("service", 2, years, 5, 2),
    "Key Size": Case("service", 3072, key_size, 2048, 3072),
    KEY_TIME: Case("service", 1, after_a_minute, (None, "Operation Pending"), PAST_ITS_TIME),
    "Maximum Allowable Attempts For Key Generation": Case("service", 1, lambda node: len(requests(node)), 4, 2),
    KEEP_ALIVE: Case("service", 5, in_force(KEEP_ALIVE, "service"), 15, 5),
    "CAPF Phone Port": Case("enterprise", PORT, phones_use_the_other_port, False, True),
    "CAPF Operation Expires in (days)": Case("enterprise", 3, days, 10, 3),
    "Enable IPv6": Case("enterprise", True, lambda node: reachable("::1", node.capf_port), False, True),
    SECURITY: Case("enterprise", 1, in_force(SECURITY, "enterprise"), 0, 1),
    "TFTP Encrypted Config": Case("enterprise", True, warns_of_strings, False, True),
}
ONE_CHOICE = "Certificate Issuer to Endpoint"


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, RunningNode]]:
    """Two activated nodes: one stays unchanged, one is changed."""
    directory = tmp_path_factory.mktemp("parameters")
    nodes = RunningNode(directory / "usual").start(), RunningNode(directory / "changed").start()
    for node in nodes:
        node.activate()
    yield nodes
    for node in nodes:
        node.stop()


def see(name: str, usual: RunningNode, changed: RunningNode) -> None:
    """Observe the default of a parameter on one node, and a changed value on the other."""
    case = CASES[name]
    answer = changed.ok("PUT", f"/{case.kind}-parameters", {"parameters": {name: case.value}})
    assert answer["changed"] and answer["restart_required"]
    changed.ok("POST", "/service/restart", {})
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(case.observe, (usual, changed))
    assert (before, after) == (case.before, case.after)
    assert in_force(name, case.kind)(changed) == case.value


@pytest.mark.parametrize("name", sorted(set(CASES) - {KEY_TIME}))
def test_p24_a_parameter_is_seen_after_a_restart_of_the_service(
    name: str, served: tuple[RunningNode, RunningNode]
) -> None:
    see(name, *served)


def test_p8_p24_key_generation_past_its_time_fails(served: tuple[RunningNode, RunningNode]) -> None:
    see(KEY_TIME, *served)


def test_p24_the_issuer_has_one_value_and_signs(served: tuple[RunningNode, RunningNode]) -> None:
    node = served[0]
    status, answer = node.api("PUT", "/service-parameters", {"parameters": {ONE_CHOICE: "Somebody else"}})
    assert status == 422 and answer["error"]["problems"][0]["message"].endswith(f"; allowed: {parameters.CAPF_ISSUER}")
    schedule(node)
    enrol(node)
    assert node.ok("GET", "/service")["capf_certificate"]["common_name"] in node.phone(PHONE)["lsc_issued_by"]


def test_p24_the_port_is_in_the_phones_configuration(served: tuple[RunningNode, RunningNode]) -> None:
    assert f"<phonePort>{served[0].capf_port}</phonePort>" in configuration(served[0])


def test_p24_no_parameter_is_left_out() -> None:
    known = {parameter.name for parameter in (*parameters.SERVICE, *parameters.ENTERPRISE)}
    assert set(CASES) | {ONE_CHOICE} == known
