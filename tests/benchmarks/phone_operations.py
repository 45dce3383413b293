"""How long one task takes that schedules 10,000 phones, and the same task again; and the memory that it needs.

Run: .venv/bin/python tests/benchmarks/phone_operations.py [phones]
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

PHONES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ucm.capf.{module}:
{options}
        csv_file: {csv}
"""


def resident_mib(pid: int) -> float:
    """Return the largest resident memory that a process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def task(node: RunningNode, module: str) -> tuple[float, str]:
    """Run one task as a whole ansible-playbook; returns its seconds, and its result line."""
    options = "\n".join(f"        {name}: {value}" for name, value in connection(node).items())
    play = node.directory / "play.yml"
    play.write_text(PLAY.format(module=module, options=options, csv=node.directory / "phones.csv"))
    argv = ["/usr/bin/time", "-f", "%M", PLAYBOOK, play]
    begin = time.perf_counter()
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begin
    (recap,) = re.findall(r"localhost +: (.*?unreachable)", done.stdout)
    return (
        seconds,
        f"{recap.split('unreachable')[0].strip()}, largest process {int(done.stderr.split()[-1]) / 1024:.0f} MiB",
    )


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            names = [f"SEP{index:012X}" for index in range(PHONES)]
            (node.directory / "phones.csv").write_text("device_name\n" + "".join(f"{name}\n" for name in names))
            for title, module in (
                ("register", "phones"),
                ("register again", "phones"),
                ("schedule", "phone_operations"),
                ("schedule again", "phone_operations"),
            ):
                seconds, result = task(node, module)
                print(f"{PHONES} phones, {title:<15} {seconds:6.2f} s   {result}", flush=True)
            assert node.process is not None
            print(f"server, largest resident memory {resident_mib(node.process.pid):.0f} MiB")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
