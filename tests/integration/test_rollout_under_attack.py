# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout to 200 phones completes while an attacker claims to be each of them once a second (P33)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from capf.phone_session.wire import Command
from integration.conftest import MakeWorld
from integration.test_rollout import rollout, summary
from support.client import Client
from support.node import RunningNode

PHONES, THREADS, STRANGER = 200, 10, "127.0.0.66"
ROUND_SECONDS = 1.0
NULL, MIC = "By Null String", "By Existing Certificate (precedence to MIC)"


def phones() -> list[dict[str, Any]]:
    """Return the phones, half of which authenticate by their MIC and half by null string."""
    return [
        {
            "device_name": f"SEP0000000001{index:02X}",
            "mic": index % 2 == 0,
            "authentication_mode": MIC if index % 2 == 0 else NULL,
            "key_order": "EC Only",
            "ec_key_size": 256,
        }
        for index in range(PHONES)
    ]


def refused(node: RunningNode, name: str) -> bool:
    """Claim to be a phone with an invalid string; return whether the claim was refused."""
    client = Client(node.capf_port, name, source=STRANGER)
    try:
        answer = client.authenticate("000000")
        assert answer.command is Command.END_SESSION
        return True
    finally:
        client.close()


@contextmanager
def attacked(node: RunningNode, names: list[str]) -> Iterator[list[int]]:
    """Claim to be each of the phones once a second meanwhile; yield the number of refused claims by thread."""
    over, counts = threading.Event(), [0] * THREADS

    def attack(index: int) -> None:
        while not over.is_set():
            begin = time.monotonic()
            for name in names[index::THREADS]:
                with suppress(OSError, EOFError):
                    counts[index] += refused(node, name)
            over.wait(max(0.0, begin + ROUND_SECONDS - time.monotonic()))

    threads = [threading.Thread(target=attack, args=(index,), daemon=True) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def test_p33_a_rollout_to_200_phones_runs_to_its_end_under_attack(make_world: MakeWorld) -> None:
    given = phones()
    names = [str(phone["device_name"]) for phone in given]
    node, lab = make_world(given)
    with attacked(node, names) as counts:
        status, output = rollout(
            node, lab, lsc_rollout_wave_size="100", lsc_rollout_wave_seconds=120, lsc_rollout_failure_limit="0"
        )
    assert status == 0, output
    assert summary(node)["by_status"] == {"Upgrade Success": PHONES}, json.dumps(summary(node))[:2000]
    found = node.ok("POST", "/phones/find", {"rows_per_page": PHONES})["phones"]
    assert sum(counts) > PHONES
    assert {phone["lsc"] for phone in found} == {"Installed"}
    attacked_ones = [phone for phone in found if phone["refusals"]]
    assert len(attacked_ones) > PHONES / 4 and {phone["refused_from"] for phone in attacked_ones} == {STRANGER}
