# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures how long an administrator waits: one task for many phones, compared with a loop over single phones.

Run: .venv/bin/python tests/benchmarks/administration.py [phones [phones of the report [phones of the loop]]]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.population import fill
from benchmarks.tasks import Bench

from support.node import RunningNode

PHONES, REPORTED, LOOPED = (int(text) for text in (*sys.argv[1:], *("10000", "100000", "100")[len(sys.argv) - 1 :]))
FOUND = REPORTED - PHONES - LOOPED


def names(first: int, count: int) -> list[str]:
    """Return device names."""
    return [f"SEP{index:012X}" for index in range(first, first + count)]


def register(node: RunningNode, wanted: list[str]) -> None:
    """Register phones by the API, in requests of 10,000."""
    for start in range(0, len(wanted), 10_000):
        phones = [{"device_name": name} for name in wanted[start : start + 10_000]]
        node.ok("POST", "/phones", {"phones": phones})


def schedule(bench: Bench) -> None:
    """Schedule operations: one task for all, and a loop."""
    some, single = names(0, PHONES), names(PHONES, LOOPED)
    register(bench.node, [*some, *single])
    csv = bench.node.directory / "phones.csv"
    csv.write_text("device_name\n" + "".join(f"{name}\n" for name in some))
    one = f"- ucm.capf.phone_operations:\n    csv_file: {csv}"
    bench.task(f"schedule {PHONES} phones, one task, check mode", one, "--check")
    bench.task(f"schedule {PHONES} phones, one task, check mode, diff", one, "--check", "--diff")
    whole = bench.task(f"schedule {PHONES} phones, one task, diff", one, "--diff")
    bench.task(f"schedule {PHONES} phones, one task, unchanged", one)
    looped = "- ucm.capf.phone_operations:\n    phones: ['{{ item }}']\n  loop: [" + ", ".join(single) + "]"
    each = bench.task(f"schedule {PHONES} phones, a loop ({LOOPED})", looped, scale=PHONES / LOOPED)
    print(f"the list is {each / whole:.0f} times as fast as the loop")


def show(bench: Bench) -> None:
    """Find and report phones: all in one task, and a loop."""
    for kind in ("csv", "json", "html"):
        whole = bench.task(
            f"{kind} report of {REPORTED} phones", f"- ucm.capf.report: {{dest: a.{kind}, format: {kind}}}"
        )
    everything = "- ucm.capf.report: {dest: a.csv}"
    whole = bench.task(f"csv report of {REPORTED} phones, unchanged", everything)
    assert len((bench.node.directory / "a.csv").read_bytes().splitlines()) == REPORTED + 1
    pages = (
        ("one of 50, among", 50, 1),
        ("the last of 50, among", 50, REPORTED // 50),
        ("one of 10000, among", 10_000, 1),
    )
    for title, rows, number in pages:
        page = f"- ucm.capf.phones_info: {{rows_per_page: {rows}, page: {number}, sort: lsc_expires}}\n  no_log: true"
        bench.task(f"phones_info, page {title} {REPORTED}", page)
    looped = (
        "- ucm.capf.phones_info:\n    criteria: [{field: device_name, value: '{{ item }}'}]\n  loop: ["
        + ", ".join(names(0, LOOPED))
        + "]"
    )
    each = bench.task(f"phones_info of {REPORTED} phones, a loop ({LOOPED})", looped, scale=REPORTED / LOOPED)
    print(f"the report is {each / whole:.0f} times as fast as the loop")


def main() -> None:
    """Print the figures."""
    if FOUND < 1:
        sys.exit(
            f"phones of the report: '{REPORTED}' is refused; allowed: more than {PHONES + LOOPED}, the others' sum"
        )
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node")
        fill(node, FOUND)
        node.start()
        try:
            bench = Bench(node)
            schedule(bench)
            show(bench)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
