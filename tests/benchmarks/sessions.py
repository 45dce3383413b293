"""How many phones get their LSC a second, and what that costs the server, beside what its signatures alone cost.

Run: .venv/bin/python tests/benchmarks/sessions.py [sessions] [at once] [runs]
A client in threads of its own process leads whole sessions with EC keys that are made beforehand, so that the figures
are the server's.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.client import Client, new_public_key
from support.node import RunningNode

SESSIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
AT_ONCE = int(sys.argv[2]) if len(sys.argv) > 2 else 50
RUNS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Return the largest resident memory that a process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def signature_milliseconds() -> float:
    """Return what one RSA-2048 signature costs on one core; a session needs two, for TLS and for the LSC."""
    key = rsa.generate_private_key(65537, 2048)
    count = 500
    begin = time.process_time()
    for _index in range(count):
        key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - begin) / count * 1000


def install(job: tuple[int, str, bytes]) -> float:
    """Lead one session; returns its seconds."""
    port, name, key = job
    begin = time.perf_counter()
    client = Client(port, name)
    client.authenticate()
    client.send_key(key)
    client.confirm()
    client.close()
    return time.perf_counter() - begin


def load(jobs: list[tuple[int, str, bytes]], pipe: multiprocessing.connection.Connection) -> None:
    """Lead all sessions, some at once; sends their seconds, and the seconds in all."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seconds = list(pool.map(install, jobs))
    pipe.send((seconds, time.perf_counter() - begin))


def run(node: RunningNode, number: int) -> dict[str, float]:
    """Measure one run with new phones."""
    assert node.process is not None
    names = [f"SEP{number:02X}{index:010X}" for index in range(SESSIONS)]
    settings = {"key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **settings} for name in names]})
    node.schedule(*names)
    jobs = [(node.capf_port, name, new_public_key()) for name in names]
    ours, theirs = multiprocessing.Pipe()
    before = cpu_seconds(node.process.pid)
    worker = multiprocessing.Process(target=load, args=(jobs, theirs))
    worker.start()
    seconds, total = ours.recv()
    worker.join()
    cpu = (cpu_seconds(node.process.pid) - before) / SESSIONS * 1000
    done = node.wait(*names)["by_status"]
    assert done == {"Upgrade Success": SESSIONS}, done
    ranked = sorted(seconds)
    return {
        "sessions/s": SESSIONS / total,
        "server CPU ms": cpu,
        "times two signatures": cpu / (2 * signature_milliseconds()),
        "p50 ms": ranked[len(ranked) // 2] * 1000,
        "p99 ms": ranked[int(len(ranked) * 0.99)] * 1000,
    }


def main() -> None:
    """Print the figures of every run, and the medians."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node").start()
        try:
            node.activate()
            results = [run(node, number) for number in range(RUNS)]
            assert node.process is not None
            for name in results[0]:
                values = [result[name] for result in results]
                shown = ", ".join(f"{value:.2f}" for value in values)
                print(f"{name:<22}{statistics.median(values):10.2f}   ({shown})")
            print(f"{'server memory MiB':<22}{resident_mib(node.process.pid):10.0f}")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
