# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout to 10,000 simulated phones with the collection's playbook, in waves: time, rate, processor and memory.

Run: .venv/bin/python tests/benchmarks/rollout.py [phones [phones of a wave]]
Server, control node and lab share the machine. The phones' keys come from a pool, so that the lab's own share is small.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import Meter, signature_milliseconds

from support.lab import RunningLab, write_phones
from support.launcher import Process
from support.node import RunningNode
from support.plays import PLAYBOOK, environment, extra_vars
from support.requesting import PASSWORD

PHONES, WAVE = (int(text) for text in (*sys.argv[1:], *("10000", "1000")[len(sys.argv) - 1 :]))
_KEY_POOL = 200
_POOLS = 20
_WAVE_SECONDS = 900


def phones() -> list[dict[str, str | int]]:
    """Return a site of RSA-2048 phones in twenty device pools."""
    same: dict[str, str | int] = {"authentication_mode": "By Null String", "key_order": "RSA Only", "key_size": 2048}
    return [
        {"device_name": f"SEP{index:012X}", "device_pool": f"Pool-{index % _POOLS:02d}", **same}
        for index in range(PHONES)
    ]


class Bench:
    """A node and a lab that are ready, with meters of their resources."""

    def __init__(self, directory: Path) -> None:
        csv_file = write_phones(directory / "phones.csv", phones())
        self._output = directory / "rollout"
        self.lab = RunningLab(directory / "lab", csv_file, "--key-pool", str(_KEY_POOL))
        self.node = RunningNode(directory / "node", manufacturing_ca=self.lab.manufacturing_ca).start()
        self.node.activate()

    def switch_phones_on(self) -> None:
        """Start the lab; phones that are not registered with the server yet wait for their reset."""
        self.lab.start(self.node, "--key-pool", str(_KEY_POOL))

    @staticmethod
    def _pid(process: subprocess.Popen[bytes] | Process | None) -> int:
        assert process is not None
        return process.pid

    def run(self, title: str) -> None:
        """Run the playbook, and print its figures."""
        server, lab = Meter(self._pid(self.node.process)), Meter(self._pid(self.lab.process))
        variables = {
            "capf_port": self.node.port,
            "capf_password": PASSWORD,
            "capf_ca_path": str(self.node.state / "administration.crt"),
            "lsc_rollout_csv_file": str(self.lab.phones),
            "lsc_rollout_directory": str(self._output),
            "lsc_rollout_wave_size": str(WAVE),
            "lsc_rollout_wave_seconds": _WAVE_SECONDS,
        }
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        argv: list[str | Path] = [PLAYBOOK, "ucm.capf.rollout", *extra_vars(self.node.directory, variables)]
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        control = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures = json.loads((self._output / "summary.json").read_text())
        print(
            f"{title}: {seconds:.1f} s, {figures['scheduled']} phones scheduled, {figures['installed']} of"
            f" {figures['phones']} have an LSC, {figures['scheduled'] / seconds:.0f} phones a second\n"
            f"  server        {server.cpu_seconds():8.1f} s of processor, {server.largest_mib():6.0f} MiB at most\n"
            f"  lab           {lab.cpu_seconds():8.1f} s of processor, {lab.largest_mib():6.0f} MiB at most\n"
            f"  control node  {control:8.1f} s of processor, {after.ru_maxrss / 1024:6.0f} MiB at most, one process",
            flush=True,
        )

    def plan(self) -> None:
        """Plan the same rollout again with all phones due, and print the figures."""
        server = Meter(self._pid(self.node.process))
        asked = {
            "criteria": [{"field": "device_name", "pattern": "is not empty"}],
            "runner": "benchmark",
            "dry_run": True,
            "force": True,
            "wave_size": str(WAVE),
        }
        begin = time.perf_counter()
        plan = self.node.ok("PUT", "/rollouts/plan", asked)["plan"]
        print(
            f"a plan of {len(plan['waves'])} waves: {time.perf_counter() - begin:.1f} s,"
            f" server {server.cpu_seconds():.1f} s of processor, {server.largest_mib():.0f} MiB at most",
            flush=True,
        )
        size = sum(path.stat().st_size for path in self.node.state.glob("capf.db*"))
        print(f"the database has {size / 2**20:.0f} MiB, {size / PHONES / 1024:.1f} KiB a phone", flush=True)

    def stop(self) -> None:
        """Stop the node and the lab."""
        self.lab.stop()
        self.node.stop()


def main() -> None:
    """Print the figures of a rollout and of the same command again."""
    print(f"one RSA-2048 signature takes {signature_milliseconds():.2f} ms of one core of this machine", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        begin = time.perf_counter()
        bench = Bench(Path(directory))
        try:
            bench.switch_phones_on()
            print(f"making {PHONES} phones took {time.perf_counter() - begin:.1f} s", flush=True)
            bench.run(f"rollout in waves of {WAVE}")
            bench.run("the same command again")
            bench.plan()
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
