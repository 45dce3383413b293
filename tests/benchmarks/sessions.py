# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures LSCs per second, their cost for the server in addition to signatures, and the effect of crowds.

Run: .venv/bin/python tests/benchmarks/sessions.py [sessions] [at once] [runs] [crowd]
Without ``crowd`` the crowd is of 10,000 phones; 0 leaves the crowds out. The client has its own process, on the same
machine.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import crowds
from benchmarks.load import Figures, client, install_all, prepare
from benchmarks.machine import Meter, signature_milliseconds

from support.node import RunningNode

DEFAULTS = (2000, 50, 5, 10000)
CONNECTIONS, HELD = 2000, 2500
LONG = "[capf]\nhandshake_seconds = 120\nauthentication_seconds = 600\nmaximum_sessions_per_address = 10000\n"
"""Limits for a crowd: the client is one process at one address, and slower than thousands of phones."""
Results = dict[str, float]


def run(node: RunningNode, number: int, sessions: int, at_once: int) -> Results:
    """Measure one run with new phones."""
    jobs = prepare(node, sessions, number)
    signature = signature_milliseconds()
    assert node.process is not None
    meter = Meter(node.process.pid)
    with client(install_all, node.capf_port, jobs, at_once) as pipe:
        figures: Figures = pipe.recv()
    cpu = meter.cpu_seconds() / sessions * 1000
    signatures = signature + signature_milliseconds()
    done = node.wait(*(job.name for job in jobs))["by_status"]
    assert done == {"Upgrade Success": sessions} and not figures.failures, (done, figures.failures[:3])
    return {
        "sessions a second": sessions / figures.total,
        "server CPU ms a session": cpu,
        "two RSA-2048 signatures ms": signatures,
        "CPU in two signatures": cpu / signatures,
        "median ms": figures.milliseconds(0.5),
        "p99 ms": figures.milliseconds(0.99),
        "largest memory MiB": meter.largest_mib(),
    }


def on_a_node(scenarios: Iterable[Callable[[RunningNode], Results]], configuration: str = "[capf]\n") -> list[Results]:
    """Return the figures of scenarios, one after the other, on a new server."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node")
        node.config.write_text(node.config.read_text().replace("[capf]\n", configuration))
        node.start()
        try:
            node.activate()
            return [scenario(node) for scenario in scenarios]
        finally:
            node.stop()


def show(results: list[Results]) -> None:
    """Print each figure: its median, and all values if there are several."""
    for name in results[0]:
        values = [result[name] for result in results]
        every = f"   ({', '.join(f'{value:.2f}' for value in values)})" if len(values) > 1 else ""
        print(f"{name:<44}{statistics.median(values):10.2f}{every}", flush=True)


def main() -> None:
    """Print all figures."""
    given = [int(value) for value in sys.argv[1:]]
    sessions, at_once, runs, crowd = (*given, *DEFAULTS[len(given) :])
    show(on_a_node([partial(run, number=number, sessions=sessions, at_once=at_once) for number in range(runs)]))
    if not crowd:
        return
    show(on_a_node([lambda node: crowds.crowd(node, 0, CONNECTIONS)], LONG))
    show(on_a_node([lambda node: crowds.crowd(node, 0, crowd)], LONG))
    show(on_a_node([lambda node: crowds.held(node, 0, HELD)]))
    show(on_a_node([crowds.besieged], LONG))
    show(on_a_node([lambda node: crowds.refused(node, 0)]))


if __name__ == "__main__":
    main()
