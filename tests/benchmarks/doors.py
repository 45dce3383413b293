# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the cost of silent connections for the server, phones and the administrator.

Run: .venv/bin/python tests/benchmarks/doors.py [connections to each port]
The connections come from a separate process for each port, on the same machine, from four addresses.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.besieged import ATTACKERS, COUNT, measure
from support.flood import HALF_A_HEADER, Target, a_handshake_cut_off, half_a_handshake
from support.node import RunningNode


def scenarios(node: RunningNode, count: int) -> dict[str, Sequence[Target]]:
    """Return the floods of the node by name."""
    ports = {"administration": node.port, "files": node.files_port, "CAPF": node.capf_port}

    def all_doors(tls: bytes, http: bytes) -> list[Target]:
        return [Target(port, count, ATTACKERS, http if name == "files" else tls) for name, port in ports.items()]

    return {
        **{f"silent: {name}": [Target(port, count, ATTACKERS)] for name, port in ports.items()},
        "silent: all three": all_doors(b"", b""),
        "one byte: all three": all_doors(b"\x16", b"G"),
        "handshake cut off, half a header: all three": all_doors(a_handshake_cut_off(), HALF_A_HEADER),
        "half a handshake: all three": all_doors(half_a_handshake(), HALF_A_HEADER),
    }


def main() -> None:
    """Print the figures of each scenario, each on a new server."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    print(f"{count} connections to each port{'more memory':>33}{'AUTH_REQUEST p99':>20}{'administrator p99':>20}")
    with tempfile.TemporaryDirectory() as directory:
        for number in range(len(scenarios(RunningNode(Path(directory) / "names"), count))):
            node = RunningNode(Path(directory) / str(number)).start()
            node.activate()
            try:
                name, targets = list(scenarios(node, count).items())[number]
                seen = measure(node, targets)
            finally:
                node.stop()
            phone, administrator = seen.phone_seconds * 1000, seen.administrator_seconds * 1000
            print(f"{name:<50}{seen.memory_mib:7.1f} MiB{phone:17.0f} ms{administrator:17.0f} ms", flush=True)


if __name__ == "__main__":
    main()
