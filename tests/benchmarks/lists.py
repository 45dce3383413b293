# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures a list of 60,000 phones: registering them, the same again, and the plan of their rollout.

Run: .venv/bin/python tests/benchmarks/lists.py [phones [phones of a wave]]
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import signature_milliseconds
from benchmarks.tasks import Bench

from support.node import RunningNode
from support.plays import extra_vars
from support.requesting import PASSWORD

PHONES, WAVE = (int(text) for text in (*sys.argv[1:], *("60000", "2500")[len(sys.argv) - 1 :]))
_COLUMNS = ("device_name", "description", "device_pool", "device_type", "mic", "authentication_mode", "key_size")


def write(path: Path) -> Path:
    """Write the list as a spreadsheet does, with umlauts, quotes and commas, and return its path."""
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(_COLUMNS)
        for index in range(PHONES):
            text = f'B\u00fcro "{index}", {index % 9}. OG, Z\u00fcrich'
            pool, kind = f"Pool {index % 40}", ("Cisco 8845", "Cisco 7841")[index % 2]
            writer.writerow((f"SEP{index:012X}", text, pool, kind, "TRUE", "By Null String", 2048))
    return path


def main() -> None:
    """Print the figures."""
    print(f"one RSA-2048 signature takes {signature_milliseconds():.2f} ms of one core of this machine", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            node.activate()
            measure(Bench(node), write(Path(directory) / "phones.csv"))
        finally:
            node.stop()


def measure(bench: Bench, phones: Path) -> None:
    """Run the tasks and the plan."""
    register = f"- ucm.capf.phones:\n    csv_file: {phones}"
    bench.task(f"register {PHONES} phones, check mode", register, "--check")
    bench.task(f"register {PHONES} phones", register)
    bench.task(f"register {PHONES} phones, unchanged", register)
    variables = {
        "capf_port": bench.node.port,
        "capf_password": PASSWORD,
        "capf_ca_path": str(bench.node.state / "administration.crt"),
        "lsc_rollout_csv_file": str(phones),
        "lsc_rollout_directory": str(bench.node.directory / "rollout"),
        "lsc_rollout_wave_size": str(WAVE),
        "lsc_rollout_reset": False,
    }
    given = extra_vars(bench.node.directory, variables)
    bench.playbook(f"plan of {PHONES} phones, ucm.capf.rollout --check", "ucm.capf.rollout", *given, "--check")


if __name__ == "__main__":
    main()
