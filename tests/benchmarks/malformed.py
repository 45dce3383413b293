# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the effect of 100,000 malformed sessions on the server: memory, log lines, and seconds (P15).

Run: .venv/bin/python tests/benchmarks/malformed.py [sessions] [processes]
The clients resume their TLS sessions, so that the time is the server's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import malformed
from support.node import RunningNode

SESSIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
PROCESSES = int(sys.argv[2]) if len(sys.argv) > 2 else 4
WARM_UP = 2000


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            node.activate()
            assert node.process is not None
            malformed.lead(node.capf_port, WARM_UP, PROCESSES)
            before, lines = malformed.resident_kib(node.process.pid), len(node.log.read_bytes().splitlines())
            begin = time.perf_counter()
            malformed.lead(node.capf_port, SESSIONS, PROCESSES)
            seconds = time.perf_counter() - begin
            after = malformed.resident_kib(node.process.pid)
            lines = len(node.log.read_bytes().splitlines()) - lines
            print(f"{SESSIONS} sessions in {seconds:.0f} s, {SESSIONS / seconds:.0f} a second")
            print(f"log lines: {lines}")
            print(f"server memory after {WARM_UP} sessions {before / 1024:.1f} MiB, at the end {after / 1024:.1f} MiB")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
