"""What an administrator waits for: one task for many phones beside a loop over single ones, in one run.

Run: .venv/bin/python tests/benchmarks/administration.py [phones [phones of the report [phones of the loop]]]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.node import RunningNode
from support.plays import PLAYBOOK, connection, environment

PHONES, REPORTED, LOOPED = (int(text) for text in (*sys.argv[1:], *("10000", "100000", "100")[len(sys.argv) - 1 :]))
HEAD = """
- hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    group/ucm.capf.capf:
{options}
  tasks:
"""


def resident_mib(pid: int) -> float:
    """Return the largest resident memory that a process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def forget_peak(pid: int) -> None:
    """Have the largest resident memory count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Bench:
    """Runs one task at a time, each as a whole ansible-playbook, and prints its figures."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        assert node.process is not None
        self.pid = node.process.pid
        options = "\n".join(f"      {name}: {value}" for name, value in connection(node).items())
        self._head = HEAD.format(options=options)

    def task(self, title: str, task: str, *options: str, scale: float = 1) -> float:
        """Run a task of YAML lines; prints and returns its seconds, times ``scale``."""
        play = self.node.directory / "play.yml"
        play.write_text(self._head + "".join(f"    {line}\n" for line in task.splitlines()))
        forget_peak(self.pid)
        argv = ["/usr/bin/time", "-f", "%M", PLAYBOOK, play, *options]
        begin = time.perf_counter()
        done = subprocess.run(
            argv, env=environment(), capture_output=True, text=True, check=True, cwd=self.node.directory
        )
        seconds = (time.perf_counter() - begin) * scale
        (changed,) = re.findall(r"changed=(\d+)", done.stdout)
        largest = int(done.stderr.split()[-1]) / 1024
        note = f"scaled by {scale:.0f}" if scale != 1 else f"changed={changed}"
        print(
            f"{title:<58} {seconds:8.2f} s  {note:<14} control node {largest:4.0f} MiB, server"
            f" {resident_mib(self.pid):4.0f} MiB",
            flush=True,
        )
        return seconds


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
    register(bench.node, names(PHONES + LOOPED, REPORTED - PHONES - LOOPED))
    everything = "- ucm.capf.report:\n    dest: report.csv"
    whole = bench.task(f"CSV report of {REPORTED} phones", everything)
    assert len((bench.node.directory / "report.csv").read_bytes().splitlines()) == REPORTED + 1
    bench.task(f"CSV report of {REPORTED} phones, unchanged", everything)
    page = "- ucm.capf.phone_info:\n    criteria: [{field: lsc_status, value: None}]\n    rows_per_page: 50"
    bench.task(f"phone_info, 50 of the {REPORTED - PHONES - LOOPED} found among {REPORTED}", page)
    bench.task(f"phone_info, 10000 of {REPORTED}", "- ucm.capf.phone_info:\n    rows_per_page: 10000\n  no_log: true")
    looped = (
        "- ucm.capf.phone_info:\n    criteria: [{field: device_name, value: '{{ item }}'}]\n  loop: ["
        + ", ".join(names(0, LOOPED))
        + "]"
    )
    each = bench.task(f"phone_info of {REPORTED} phones, a loop ({LOOPED})", looped, scale=REPORTED / LOOPED)
    print(f"the report is {each / whole:.0f} times as fast as the loop")


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            bench = Bench(node)
            schedule(bench)
            show(bench)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
