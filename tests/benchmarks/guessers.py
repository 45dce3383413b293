# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures how long a phone waits for AUTH_REQUEST during ten thousand guesses of the administrator's password (P28).

Run: .venv/bin/python tests/benchmarks/guessers.py [tries] [addresses]
The guesser is a separate process that tries from many addresses of loopback at once.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.client import Client
from support.node import RunningNode

TRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
ADDRESSES = int(sys.argv[2]) if len(sys.argv) > 2 else 200
ALONE = 200
GUESSER = Path(__file__).parents[1] / "support" / "guesser.py"


def wait_for_auth_request(port: int) -> float:
    """Return the milliseconds from connecting to the server's first message, including TLS."""
    begin = time.perf_counter()
    client = Client(port, "SEP00000000000A")
    milliseconds = (time.perf_counter() - begin) * 1000
    client.close()
    return milliseconds


def measure(title: str, port: int, more: Callable[[int], bool]) -> None:
    """Connect phones one after the other, and print how long they wait."""
    waits: list[float] = []
    while more(len(waits)):
        waits.append(wait_for_auth_request(port))
        time.sleep(0.05)
    ranked = sorted(waits)
    median, late = statistics.median(ranked), ranked[int(len(ranked) * 0.99)]
    print(f"{title:<20} {len(waits):5} phones   median {median:6.1f} ms   p99 {late:6.1f} ms", flush=True)


def main() -> None:
    """Print the figures without and with the guesser."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            node.activate()
            measure("nobody guesses", node.capf_port, lambda count: count < ALONE)
            argv: list[str | Path] = [sys.executable, GUESSER, str(node.port), str(TRIES), str(ADDRESSES)]
            environment = {"PYTHONPATH": str(GUESSER.parents[1])}
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as guesser:
                begin = time.perf_counter()
                measure("somebody guesses", node.capf_port, lambda _count: guesser.poll() is None)
                assert guesser.stdout is not None
                statuses = guesser.stdout.read().split()
            print(f"{TRIES} tries in {time.perf_counter() - begin:.0f} s, by status: {' '.join(statuses)}")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
