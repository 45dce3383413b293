# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures response times for phones and the administrator, and the server's memory, during a flood."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.client import Client
from support.flood import Target, flooded
from support.malformed import resident_kib
from support.node import RunningNode

PROBES = 100
MOST_MEMORY_MIB, PHONE_SECONDS, ADMINISTRATOR_SECONDS = 50, 0.25, 1.0
COUNT = 10_000
ATTACKERS = [f"127.0.0.{number}" for number in range(2, 6)]


@dataclass(frozen=True, slots=True)
class Figures:
    """Additional memory of the server, and the 99th percentile of response times."""

    memory_mib: float
    phone_seconds: float
    administrator_seconds: float


def percentile(probe: Callable[[], None]) -> float:
    """Return the 99th percentile of the seconds that a probe takes."""
    seconds = []
    for _index in range(PROBES):
        begin = time.perf_counter()
        probe()
        seconds.append(time.perf_counter() - begin)
        time.sleep(0.01)
    return sorted(seconds)[PROBES * 99 // 100 - 1]


def measure(node: RunningNode, targets: Sequence[Target]) -> Figures:
    """Return the measurements of a running node while its doors are flooded."""
    assert node.process is not None
    pid = node.process.pid

    def phone() -> None:
        Client(node.capf_port, "SEP00000000000A").close()

    def administrator() -> None:
        assert node.ok("GET", "/service")["activated"]

    phone()
    administrator()
    before = resident_kib(pid)
    with flooded(targets), ThreadPoolExecutor(2) as pool:
        seconds = [pool.submit(percentile, probe) for probe in (phone, administrator)]
        most = resident_kib(pid)
        while not all(item.done() for item in seconds):
            most = max(most, resident_kib(pid))
            time.sleep(0.05)
        return Figures((most - before) / 1024, seconds[0].result(), seconds[1].result())
