# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL at every message boundary: no certificate is ever missing in the database (P1, P2)."""

from __future__ import annotations

import signal
import time

import pytest

from capf.phone_session.wire import Command, Tag
from support.client import Client, new_public_key
from support.crash import A, check_after_the_crash, enrol, record, schedule
from support.enrolment import STRING
from support.node import RunningNode
from support.waiting import until

BOUNDARIES = ["connected", "authenticated", "key sent", "certificate received", "stored", "ended"]
DELAYS_AFTER_THE_KEY = [0.0, 0.001, 0.002, 0.004, 0.008, 0.02]


def talk_until(node: RunningNode, boundary: str) -> bytes | None:
    """Run a session up to a boundary; return the certificate that the phone received."""
    client = Client(node.capf_port, A)
    if boundary == "connected":
        return None
    client.authenticate(STRING)
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
    until(lambda: not node.ok("GET", "/service")["sessions_open"])
    second = enrol(node)
    state, known = record(node)
    assert first is not None
    assert (state, known[first], known[second]) == ("done", "abandoned", "active")
