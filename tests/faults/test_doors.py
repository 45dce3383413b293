# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Floods of silent connections to each door: memory, phones and the administrator, and descriptors (P32)."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.besieged import (
    ADMINISTRATOR_SECONDS,
    ATTACKERS,
    COUNT,
    MOST_MEMORY_MIB,
    PHONE_SECONDS,
    measure,
)
from support.client import Client
from support.enrolment import PHONE, enrol, schedule
from support.flood import HALF_A_HEADER, Target, flooded, half_a_handshake
from support.node import RunningNode

BEHIND_NAT, FLOOD = 1000, 5000
pytestmark = pytest.mark.timed
KINDS = {"silent": (b"", b""), "one byte": (b"\x16", b"G"), "half a handshake": (half_a_handshake(), HALF_A_HEADER)}
DOORS = ("port", "files_port", "capf_port")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningNode]:
    """An activated node for this test."""
    node = RunningNode(tmp_path / "node").start()
    node.activate()
    yield node
    node.stop()


def targets(node: RunningNode, sends: tuple[bytes, bytes], *doors: str) -> list[Target]:
    """Return floods for some doors, given by the names of the node's attributes."""
    tls, http = sends
    return [Target(getattr(node, door), COUNT, ATTACKERS, http if door == "files_port" else tls) for door in doors]


@pytest.mark.parametrize(
    ("kind", "doors"),
    [("silent", (door,)) for door in DOORS] + [(kind, DOORS) for kind in KINDS],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_p32_floods_cost_little_memory_and_nobody_waits(own: RunningNode, kind: str, doors: tuple[str, ...]) -> None:
    seen = measure(own, targets(own, KINDS[kind], *doors))
    assert seen.memory_mib <= MOST_MEMORY_MIB, seen
    assert seen.phone_seconds <= PHONE_SECONDS, seen
    assert seen.administrator_seconds <= ADMINISTRATOR_SECONDS, seen


def test_p32_phones_and_the_server_itself_have_descriptors_left(own: RunningNode) -> None:
    """1,000 descriptors suffice for phones, the database, trace files and reset commands."""
    assert own.process is not None
    resource.prlimit(own.process.pid, resource.RLIMIT_NOFILE, (1000, 1000))
    own.configure("reset", command=["true", "{names}"])
    schedule(own)
    floods = [Target(port, 3000, ATTACKERS) for port in (own.port, own.files_port)]
    with flooded(floods):
        time.sleep(1)
        begin = time.monotonic()
        enrol(own)
        assert time.monotonic() - begin < 1
        assert len(list(Path(f"/proc/{own.process.pid}/fd").iterdir())) < 700
        own.ok("PUT", "/trace", {"debug_trace_level": "Detailed"})
        assert "counts" in own.api("POST", "/phones/reset", {"phones": [PHONE]})[1]
    said = own.log.read_text()
    assert "Traceback" not in said and "socket.accept() out of system resource" not in said
    assert said.count("event=makes-room door=files") == said.count("event=makes-room door=administration") == 1


def test_p32_a_thousand_phones_behind_one_address_are_served_beside_a_flood(own: RunningNode) -> None:
    """Each phone generates its key and continues, although the flood also comes from its address."""
    names = [f"SEP{number:012X}" for number in range(BEHIND_NAT)]
    schedule(own, *names)
    flood = [Target(own.capf_port, FLOOD, ["127.0.0.1"]), Target(own.capf_port, COUNT, ATTACKERS)]
    with flooded(flood), ExitStack() as stack:
        phones = [Client(own.capf_port, name) for name in names[:100]]
        for phone in phones:
            stack.callback(phone.close)
            phone.authenticate()
        for name in names[100:]:
            phones.append(Client(own.capf_port, name))
            stack.callback(phones[-1].close)
            phones[-1].authenticate()
        for phone in phones:
            phone.send_key()
            phone.confirm()
    assert own.wait(*names)["by_status"] == {"Upgrade Success": BEHIND_NAT}
