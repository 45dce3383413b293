"""SIGKILL at every message boundary: never a certificate that the database lacks (P1, P2)."""

from __future__ import annotations

import signal
import time

import pytest
from sqlalchemy import create_engine, select

from capf import config
from capf.store.schema import certificates, operations
from capf.wire import Command, Tag
from support.client import Client, new_public_key
from support.node import RunningNode

A = "SEP00000000000A"
BOUNDARIES = ["connected", "authenticated", "key sent", "certificate received", "stored", "ended"]
DELAYS_AFTER_THE_KEY = [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.02, 0.05]


def record(node: RunningNode) -> tuple[str, dict[bytes, str]]:
    """Return the state of the phone's operation, and its certificates with their states, from the database itself."""
    engine = create_engine(config.load(node.config).database)
    with engine.connect() as connection:
        state = connection.execute(select(operations.c.state).order_by(operations.c.id.desc())).scalars().first()
        found = connection.execute(select(certificates.c.der, certificates.c.state)).all()
    engine.dispose()
    return str(state), {bytes(row.der): row.state for row in found}


def schedule(node: RunningNode) -> None:
    """Schedule an installation for the phone."""
    phone = {"device_name": A, "authentication_mode": "By Null String", "key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [phone]})
    node.schedule(A)


def enrol(node: RunningNode) -> bytes:
    """Do what the phone's own retry does; returns the LSC."""
    client = Client(node.capf_port, A)
    client.authenticate()
    der = client.send_key()
    client.confirm()
    client.close()
    return der


def check_after_the_crash(node: RunningNode, held: bytes | None) -> None:
    """The database knows what the phone has, and the phone's retry ends in done."""
    state, known = record(node)
    if held is not None:
        assert known[held] in ("issued", "active")
    assert (state, sorted(known.values())) in (
        ("pending", []), ("claimed", []), ("issued", ["issued"]), ("done", ["active"])
    )  # fmt: skip
    node.start()
    state, known = record(node)
    assert state in ("pending", "issued", "done")
    if state == "done":
        return
    der = enrol(node)
    state, after = record(node)
    assert state == "done" and after[der] == "active"
    assert [after[earlier] for earlier in known] == ["abandoned"] * len(known)


def talk_until(node: RunningNode, boundary: str) -> bytes | None:
    """Lead a session up to a boundary; returns the certificate that the phone got."""
    client = Client(node.capf_port, A)
    if boundary == "connected":
        return None
    client.authenticate()
    if boundary == "authenticated":
        return None
    if boundary == "key sent":
        client.send(Command.KEY_GENERATE_RESPONSE, {Tag.PUBLIC_KEY: new_public_key()})
        return None
    der = client.send_key()
    if boundary == "certificate received":
        return der
    client.send(Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\x01"})
    if boundary == "ended":
        client.receive()
    return der


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_p1_sigkill_at_a_message_boundary(node: RunningNode, boundary: str) -> None:
    schedule(node)
    held = talk_until(node, boundary)
    node.stop(signal.SIGKILL)
    check_after_the_crash(node, held)


@pytest.mark.parametrize("delay", DELAYS_AFTER_THE_KEY)
def test_p1_sigkill_around_the_store_calls_of_issuing(node: RunningNode, delay: float) -> None:
    schedule(node)
    talk_until(node, "key sent")
    time.sleep(delay)
    node.stop(signal.SIGKILL)
    check_after_the_crash(node, None)


def test_p2_the_phones_own_retry_ends_in_done(node: RunningNode) -> None:
    schedule(node)
    first = talk_until(node, "certificate received")
    limit = time.monotonic() + 10
    while node.ok("GET", "/service")["sessions_open"] and time.monotonic() < limit:
        time.sleep(0.05)
    second = enrol(node)
    state, known = record(node)
    assert first is not None
    assert (state, known[first], known[second]) == ("done", "abandoned", "active")
