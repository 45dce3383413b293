# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL before, within and after each store call of a session, and at random times around it (P1)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import create_engine

from capf.node import configuration
from capf.phone_session.wire import Command, Tag
from support.client import Client, new_public_key
from support.crash import A, check_after_the_crash, record, schedule
from support.enrolment import STRING
from support.node import RunningNode
from support.trouble import sqlite_locked
from support.waiting import until

CALLS = ["claim", "issue", "confirm"]
BEFORE = {"claim": "pending", "issue": "claimed", "confirm": "issued"}
AFTER = {"claim": "claimed", "issue": "issued", "confirm": "done"}
DELAYS = [0.0, 0.002, 0.008]


def lead_to(node: RunningNode, call: str) -> tuple[Client, bytes | None]:
    """Run a session until the phone's next message causes a store call; return the certificates on the phone."""
    client = Client(node.capf_port, A)
    if call == "claim":
        return client, None
    client.authenticate(STRING)
    return client, client.send_key() if call == "confirm" else None


def ask_for(client: Client, call: str) -> None:
    """Send the message that causes a store call; do not wait for an answer."""
    if call == "claim":
        client.say_hello(STRING)
    elif call == "issue":
        client.send(Command.KEY_GENERATE_RESPONSE, {Tag.PUBLIC_KEY: new_public_key()})
    else:
        client.send(Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: b"\x01"})


@contextmanager
def postgresql_halfway(node: RunningNode, _unused: object) -> Iterator[None]:
    """Allow transactions to begin and write, but prevent their audit rows, so that none commits."""
    engine = create_engine(configuration.load(node.config).database)
    with engine.begin() as other:
        other.exec_driver_sql("LOCK TABLE audit IN EXCLUSIVE MODE")
        yield
    engine.dispose()


def held_up(node: RunningNode) -> AbstractContextManager[None]:
    """Block the server's next transaction: with SQLite before it begins, with PostgreSQL in its middle."""
    hold: Callable[..., AbstractContextManager[None]] = sqlite_locked
    if "postgresql" in node.config.read_text():
        hold = postgresql_halfway
    return hold(node, None)


@pytest.mark.parametrize("call", CALLS)
def test_p1_sigkill_before_a_store_call_has_committed(node: RunningNode, call: str) -> None:
    schedule(node)
    client, held = lead_to(node, call)
    with held_up(node):
        ask_for(client, call)
        time.sleep(0.3)
        node.stop(signal.SIGKILL)
    assert record(node)[0] == BEFORE[call]
    check_after_the_crash(node, held)


@pytest.mark.parametrize("call", CALLS)
def test_p1_sigkill_as_soon_as_a_store_call_has_committed(node: RunningNode, call: str) -> None:
    schedule(node)
    client, held = lead_to(node, call)
    ask_for(client, call)
    until(lambda: record(node)[0] == AFTER[call])
    node.stop(signal.SIGKILL)
    check_after_the_crash(node, held)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("call", ["claim", "confirm"])
def test_p1_sigkill_around_a_store_call(node: RunningNode, call: str, delay: float) -> None:
    schedule(node)
    client, held = lead_to(node, call)
    ask_for(client, call)
    time.sleep(delay)
    node.stop(signal.SIGKILL)
    check_after_the_crash(node, held)


def test_p1_what_the_phone_got_is_on_record_byte_for_byte(node: RunningNode) -> None:
    schedule(node)
    client, _held = lead_to(node, "issue")
    der = client.send_key()
    node.stop(signal.SIGKILL)
    assert record(node) == ("issued", {der: "issued"})
