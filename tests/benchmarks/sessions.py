"""How many phones get their LSC a second, and what that costs the server, beside what its signatures alone cost.

Run: .venv/bin/python tests/benchmarks/sessions.py [sessions] [at once] [runs]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.load import Figures, client, install, timed
from benchmarks.machine import Meter, signature_milliseconds

from support.client import new_public_key
from support.node import RunningNode

EC_PHONE = {"key_order": "EC Only", "ec_key_size": 256}


def phones(node: RunningNode, count: int, number: int = 0, **settings: object) -> list[tuple[str, bytes]]:
    """Register and schedule phones; returns their names and keys."""
    names = [f"SEP{number:02X}{index:010X}" for index in range(count)]
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **EC_PHONE, **settings} for name in names]})
    node.schedule(*names)
    return [(name, new_public_key()) for name in names]


async def install_all(pipe: Connection, port: int, jobs: list[tuple[str, bytes]], at_once: int) -> None:
    """Lead all sessions, some at once; sends the figures."""
    figures = Figures()
    await timed([install(port, name, key) for name, key in jobs], figures, at_once)
    pipe.send(figures)


def run(node: RunningNode, number: int, sessions: int, at_once: int) -> dict[str, float]:
    """Measure one run with new phones."""
    jobs = phones(node, sessions, number)
    before = signature_milliseconds()
    meter = Meter(node)
    with client(install_all, node.capf_port, jobs, at_once) as pipe:
        figures = pipe.recv()
    cpu = meter.cpu_seconds() / sessions * 1000
    signatures = 2 * (before + signature_milliseconds()) / 2
    done = node.wait(*(name for name, _key in jobs))["by_status"]
    assert done == {"Upgrade Success": sessions} and not figures.failures, (done, figures.failures[:3])
    return {
        "sessions/s": sessions / figures.total,
        "server CPU ms": cpu,
        "two RSA-2048 signatures ms": signatures,
        "CPU in two signatures": cpu / signatures,
        "p50 ms": figures.milliseconds(0.5),
        "p99 ms": figures.milliseconds(0.99),
        "largest memory MiB": meter.largest_mib(),
    }


def main() -> None:
    """Print the figures of every run, and the medians."""
    sessions, at_once, runs = (int(value) for value in (sys.argv[1:] + ["2000", "50", "5"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            node.activate()
            results = [run(node, number, sessions, at_once) for number in range(runs)]
        finally:
            node.stop()
    for name in results[0]:
        values = [result[name] for result in results]
        print(f"{name:<28}{statistics.median(values):10.2f}   ({', '.join(f'{value:.2f}' for value in values)})")


if __name__ == "__main__":
    main()
