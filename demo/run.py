# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a server, 200 simulated phones, and the collection's own rollout playbook, run twice.

Of each playbook it shows the tasks that changed something and their messages (``callback_plugins/brief.py``), so that
people can read the whole output.

It needs the virtual environment that scripts/bootstrap makes, takes free ports on loopback, and stops whatever it
started, also when it fails or is interrupted.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ROOT = Path(__file__).resolve().parents[1]
PHONES = ROOT / "demo" / "phones.csv"
CACHE = ROOT / ".cache" / "demo"
WORK = CACHE / "work"
OUTPUT = CACHE / "output"
BIN = Path(sys.executable).parent
LAB = (sys.executable, "-m", "capf_lab")
FAILING = ("offline", "wrong_string")
START_SECONDS = 30
SHORTEST_WAVE, LONGEST_WAVE = 16, 40
WAVE_SECONDS_PER_MS = 32
"""The seconds that a wave of 90 phones needs where an RSA-2048 signature takes a millisecond."""


def free_ports(count: int) -> list[int]:
    """Return TCP ports that are free on loopback now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _index in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def wave_seconds() -> int:
    """Return how long a wave may take on this machine, in seconds, from the time of its signatures."""
    key = rsa.generate_private_key(65537, 2048)
    begin = time.perf_counter()
    for _signature in range(100):
        key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
    milliseconds = 10 * (time.perf_counter() - begin)
    return min(LONGEST_WAVE, max(SHORTEST_WAVE, round(WAVE_SECONDS_PER_MS * milliseconds)))


def say(text: str) -> None:
    """Print a headline."""
    print(f"\n=== {text}", flush=True)


class Demo:
    """One demonstration in its own directory."""

    def __init__(self) -> None:
        self.administration, self.capf, self.files, self.control = free_ports(4)
        self.password = secrets.token_urlsafe(16)
        self.lab: subprocess.Popen[bytes] | None = None
        shutil.rmtree(WORK, ignore_errors=True)
        shutil.rmtree(OUTPUT, ignore_errors=True)
        WORK.mkdir(parents=True)
        self.state = WORK / "state"

    def run(self, *argv: str | Path, quiet: bool = False) -> None:
        """Run a command to its end; CalledProcessError if it fails."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "demo" / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CACHE / "collections"),
            "CAPF_PASSWORD": self.password,
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        output = subprocess.DEVNULL if quiet else None
        subprocess.run([str(item) for item in argv], check=True, cwd=WORK, env=environment, stdout=output)

    def install_collection(self) -> None:
        """Build the collection from what git tracks and install it where only the demonstration sees it."""
        shutil.rmtree(CACHE / "collections", ignore_errors=True)
        source = WORK / "source"
        self.run(ROOT / "scripts" / "copy-collection", source, quiet=True)
        galaxy = BIN / "ansible-galaxy"
        tree = source / "ansible_collections" / "ucm" / "capf"
        self.run(galaxy, "collection", "build", tree, "--output-path", WORK, quiet=True)
        (archive,) = WORK.glob("ucm-capf-*.tar.gz")
        self.run(galaxy, "collection", "install", archive, "-p", CACHE / "collections", "--offline", quiet=True)

    def playbook(self, name: str, variables: dict[str, Any]) -> None:
        """Run a playbook of the installed collection; the password goes through the environment."""
        variables["capf_password"] = "{{ lookup('ansible.builtin.env', 'CAPF_PASSWORD') }}"
        playbook = BIN / "ansible-playbook"
        self.run(playbook, f"ucm.capf.{name}", "-i", WORK / "inventory", "--extra-vars", json.dumps(variables))

    def make_phones(self) -> None:
        """Make the simulated phones and the CA of their MICs."""
        self.run(*LAB, "init", "--directory", WORK / "lab", "--phones", PHONES, quiet=True)

    def deploy(self) -> None:
        """Deploy the server with the role, as a plain process on loopback."""
        (WORK / "inventory").write_text("[capf]\nnode1 ansible_connection=local\n")
        control = f"127.0.0.1:{self.control}"
        self.playbook(
            "deploy",
            {
                "ansible_python_interpreter": sys.executable,
                "capf_become": False,
                "capf_activate": True,
                "capf_enterprise_parameters": {"CAPF Phone Port": self.capf},
                "capf_server_run_as": "process",
                "capf_server_python": sys.executable,
                "capf_server_directory": str(WORK / "server"),
                "capf_server_configuration": str(WORK / "capf.toml"),
                "capf_server_state_directory": str(self.state),
                "capf_server_wheelhouse_cache": str(ROOT / ".cache" / "wheelhouse"),
                "capf_server_node_name": "127.0.0.1",
                "capf_server_administration_addresses": ["127.0.0.1"],
                "capf_server_administration_port": self.administration,
                "capf_server_capf_addresses": ["127.0.0.1"],
                "capf_server_files_addresses": ["127.0.0.1"],
                "capf_server_files_port": self.files,
                "capf_server_manufacturing_cas": [str(WORK / "lab" / "manufacturing" / "ca.pem")],
                "capf_server_reset_command": [*LAB, "reset", "--control", control, "{names}"],
            },
        )

    def switch_phones_on(self) -> None:
        """Start the lab and wait until it answers."""
        log = (WORK / "lab.log").open("wb")
        self.lab = subprocess.Popen(
            [
                *LAB, "run", "--directory", WORK / "lab", "--phones", PHONES,
                "--files-server", f"http://127.0.0.1:{self.files}", "--capf-certificate", self.state / "capf.crt",
                "--control", f"127.0.0.1:{self.control}", "--strings", OUTPUT / "strings",
                "--retry-seconds", "3",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        limit = time.monotonic() + START_SECONDS
        while not (WORK / "lab" / "ready.json").exists():
            if time.monotonic() > limit or self.lab.poll() is not None:
                raise RuntimeError(f"the lab does not start; see {WORK / 'lab.log'}")
            time.sleep(0.1)

    def rollout(self) -> dict[str, Any]:
        """Run the rollout playbook; returns its summary."""
        first = not (OUTPUT / "summary.json").exists()
        self.playbook(
            "rollout",
            {
                "capf_port": self.administration,
                "capf_ca_path": str(self.state / "administration.crt"),
                "lsc_rollout_csv_file": str(PHONES),
                "lsc_rollout_directory": str(OUTPUT),
                "lsc_rollout_pilot_size": "20" if first else "0",
                "lsc_rollout_pilot_failure_limit": "20%",
                "lsc_rollout_wave_size": "90",
                "lsc_rollout_wave_seconds": wave_seconds(),
                "lsc_rollout_failure_limit": "25%" if first else "100%",
                "lsc_rollout_retries": 0,
                "lsc_rollout_backup": False,
                "lsc_rollout_progress_interval": 2,
            },
        )
        return dict(json.loads((OUTPUT / "summary.json").read_text()))

    def stop(self) -> None:
        """Stop what was started."""
        if self.lab is not None:
            self.lab.terminate()
            self.lab.wait(10)
        try:
            pid = int((self.state / "capf.pid").read_text())
            os.kill(pid, signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit and Path(f"/proc/{pid}").exists():
            time.sleep(0.1)


def table(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Print the results of both runs side by side."""
    rows = [("", "first run", "second run")]
    names = {"phones": "phones in all", "installed": "LSC installed", "skipped": "skipped", "scheduled": "scheduled"}
    rows += [(words, first[key], second[key]) for key, words in names.items()]
    rows += [("failed or unreached", *(run["failed"] + run["unreached"] for run in (first, second)))]
    statuses = sorted({*first["by_status"], *second["by_status"]} - {"Upgrade Success"})
    rows += [(f"  {item}", first["by_status"].get(item, 0), second["by_status"].get(item, 0)) for item in statuses]
    for words, left, right in rows:
        print(f"{words:<52}{left!s:>12}{right!s:>12}")


def right(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Compare the results with the list of phones: all phones that can have an LSC have one, and keep it."""
    with PHONES.open(newline="") as handle:
        behaviours = [row["lab_behaviour"] for row in csv.DictReader(handle)]
    able = sum(behaviour not in FAILING for behaviour in behaviours)
    wrong = behaviours.count("wrong_string")
    return bool(first["installed"] == second["installed"] == second["skipped"] == able and second["scheduled"] == wrong)


def main() -> int:
    """Run the demonstration; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell has its background processes ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    demo = Demo()
    begin = time.monotonic()
    try:
        say("Installing the collection")
        demo.install_collection()
        say("Making 200 phones with the CA of their manufacturer")
        demo.make_phones()
        say("Deploying the CAPF server on loopback")
        demo.deploy()
        demo.switch_phones_on()
        say("First rollout")
        first = demo.rollout()
        say("Second rollout: only the remaining phones")
        second = demo.rollout()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (subprocess.CalledProcessError, RuntimeError) as error:
        print(f"the demonstration failed: {error}", file=sys.stderr)
        return 1
    finally:
        demo.stop()
    reports = Path(first["directory"]).relative_to(ROOT)
    say(f"Results after {time.monotonic() - begin:.0f} s; the reports of the first run are in {reports}")
    table(first, second)
    return 0 if right(first, second) else 1


if __name__ == "__main__":
    sys.exit(main())
