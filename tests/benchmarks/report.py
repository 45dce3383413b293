"""How long the report and a search take with 100,000 phones, and the memory on both sides.

Run: .venv/bin/python tests/benchmarks/report.py [phones]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.phone_operations import resident_mib

from capf.secretbox import SecretBox
from capf.store import schema
from capf.store.engine import Store
from support.node import RunningNode
from support.plays import PLAYBOOK, connection, environment

PHONES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
DAY = 86400
STATUSES = ("Upgrade Success", "Upgrade Failed: Invalid MIC", "Operation Pending", "Upgrade Failed", "Upgrade Success")
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ucm.capf.{module}:
{options}
"""


def fill(node: RunningNode) -> None:
    """Put phones, operations and certificates into the database, of every kind that a report shows."""
    secrets = SecretBox((node.state / "strings.key").read_bytes())
    now = int(time.time())
    store = Store(f"sqlite:///{node.state}/capf.db")
    names = [f"SEP{index:012X}" for index in range(PHONES)]
    phones, operations, certificates = [], [], []
    for index, name in enumerate(names):
        status = STATUSES[index % len(STATUSES)]
        state = "pending" if status == "Operation Pending" else "failed" if "Failed" in status else "done"
        phones.append(
            {
                "device_name": name, "description": f"Desk {index}", "device_pool": f"Pool {index % 40}",
                "device_security_mode": "Non Secure", "mic": True, "authentication_mode": "By Authentication String",
                "key_order": "RSA Only", "ec_key_size": 256, "operation_id": index + 1,
            }
        )  # fmt: skip
        operations.append(
            {
                "id": index + 1, "device_name": name, "operation": "Install/Upgrade",
                "authentication_mode": "By Authentication String",
                "authentication_string": secrets.encrypt("24681357", name) if state == "pending" else None,
                "key_order": "RSA Only", "key_size": 2048, "ec_key_size": 256, "completes_by": now + DAY,
                "state": state, "status": status, "created_at": now,
            }
        )  # fmt: skip
        if state == "done":
            certificates.append(
                {
                    "serial_number": f"{index:032x}", "device_name": name, "operation_id": index + 1,
                    "der": b"x" * 1200, "issuer_key_id": "00", "issuer": "CN=CAPF-1a2b3c4d",
                    "issuer_not_after": now + 7000 * DAY,
                    "not_before": now, "not_after": now + index % 1800 * DAY, "ec": False, "bits": 2048,
                    "public_key_sha256": f"{index:064x}", "state": "active", "changed_at": now,
                }
            )  # fmt: skip
    for table, rows in ((schema.phones, phones), (schema.operations, operations), (schema.certificates, certificates)):
        store.write(lambda c, table=table, rows=rows: c.execute(insert(table), rows))  # type: ignore[misc]
    store.close()


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def task(node: RunningNode, module: str, **arguments: object) -> str:
    """Run one task as a whole ansible-playbook; returns its seconds, processor times and largest process."""
    assert node.process is not None
    before = processor_seconds(node.process.pid)
    given = {**connection(node, timeout=300), **arguments}
    options = "\n".join(f"        {name}: {value}" for name, value in given.items())
    play = node.directory / "play.yml"
    play.write_text(PLAY.format(module=module, options=options))
    begin = time.perf_counter()
    argv = ["/usr/bin/time", "-f", "%U %S %M", PLAYBOOK, play]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seconds = time.perf_counter() - begin
    user, system, resident = done.stderr.split()[-3:]
    server = processor_seconds(node.process.pid) - before
    return (
        f"{seconds:6.2f} s   processor: ansible {float(user) + float(system):.2f} s, server {server:.2f} s   "
        f"largest process of ansible {int(resident) / 1024:.0f} MiB"
    )


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        node = RunningNode(Path(directory) / "node")
        fill(node)
        node.start()
        try:
            assert node.process is not None
            node.ok("POST", "/phones/find", {})
            print(f"server before, largest resident memory {resident_mib(node.process.pid):.0f} MiB", flush=True)
            last = {"page": PHONES // 50, "sort": "lsc_expires"}
            print(f"{PHONES} phones, phone_info, last page   {task(node, 'phone_info', **last)}", flush=True)
            for kind in ("csv", "json", "html"):
                dest = node.directory / f"report.{kind}"
                figure = task(node, "report", dest=dest, format=kind)
                size = os.stat(dest).st_size / 1e6
                print(f"{PHONES} phones, report as {kind:<4}          {figure}, file {size:.1f} MB", flush=True)
                print(f"server, largest resident memory {resident_mib(node.process.pid):.0f} MiB", flush=True)
            match = re.search(r'content="(\d+)"', (node.directory / "report.html").read_text()[:1000])
            assert match and int(match[1]) == PHONES
            keep = os.environ.get("KEEP_REPORT")
            if keep:
                Path(keep).write_bytes((node.directory / "report.html").read_bytes())
        finally:
            node.stop()


if __name__ == "__main__":
    main()
