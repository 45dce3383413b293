# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real lab of simulated phones in a separate process."""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capf_lab import control
from capf_lab.flash import Flash
from support.launcher import Launcher, Process
from support.node import LAB, RunningNode
from support.waiting import until

_PROGRAM = Launcher("capf-lab", "capf_lab.command_line:main")
_START_SECONDS = 30


def write_phones(path: Path, phones: list[dict[str, Any]]) -> Path:
    """Write a phones CSV file with the columns of these phones."""
    columns = list(dict.fromkeys(name for phone in phones for name in phone))
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(phones)
    return path


class RunningLab:
    """A lab: the constructor runs ``capf-lab init``, ``start`` and ``stop`` control ``capf-lab run``."""

    def __init__(self, directory: Path, phones: Path, *options: str) -> None:
        self.directory = directory
        self.phones = phones
        self.manufacturing_ca = directory / "manufacturing" / "ca.pem"
        self.process: subprocess.Popen[bytes] | Process | None = None
        self.prefix: Sequence[str] = ()
        """A prefix for the lab's command, normally empty."""
        self.address = ""
        """The control port of the running lab."""
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "lab.log"
        self._do("init", "--directory", directory, "--phones", phones, *options)

    def _do(self, *argv: str | Path) -> None:
        """Run the lab's command to its end."""
        with self._log.open("ab") as log:
            status = _PROGRAM.start(*argv, output=log.fileno()).wait(_START_SECONDS)
        assert status == 0, self._log.read_text()

    def start(self, node: RunningNode, *options: str | Path, hand_out_ctl: bool = True) -> RunningLab:
        """Switch the phones on, with a CTL file of the lab or without one."""
        argv: list[str | Path] = ["run", "--directory", self.directory, "--phones", self.phones]
        argv += ["--files-server", node.files_server]
        argv += ["--capf-certificate", node.capf_certificate] if hand_out_ctl else []
        self.address = f"127.0.0.1:{node.control_port}"
        argv += ["--control", self.address, "--retry-seconds", "1", *options]
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            if self.prefix:
                self.process = subprocess.Popen([*self.prefix, *LAB, *argv], stdout=log, stderr=log)
            else:
                self.process = _PROGRAM.start(*argv, output=log.fileno())
        process = self.process
        until(lambda: ready.exists() or process.poll() is not None, _START_SECONDS, self._log.read_text)
        assert ready.exists(), self._log.read_text()
        return self

    def stop(self) -> None:
        """Switch the phones off."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_START_SECONDS)

    def flash(self, name: str) -> Flash:
        """Return a phone's flash."""
        return Flash(self.directory / "phones" / name)

    def reset(self, *names: str) -> None:
        """Reset phones."""
        control.ask(self.address, {"do": "reset", "names": list(names)})

    def move(self, node: RunningNode, *names: str) -> None:
        """Change the node from which phones fetch their files, from their next start on."""
        self._do("move", "--control", self.address, "--files-server", node.files_server, *names)

    def press(self, name: str, *keys: str) -> str:
        """Press keys on a phone; return what it shows."""
        return str(control.ask(self.address, {"do": "press", "name": name, "keys": list(keys)})["shown"])

    def shows(self, name: str) -> dict[str, Any]:
        """Return a phone's message, registration, LSC, number of sessions, and the steps of its last start."""
        phone: dict[str, Any] = control.ask(self.address, {"do": "status"})["phones"][name]
        return phone

    def until(self, name: str, message: str, seconds: float = 20) -> dict[str, Any]:
        """Wait until a phone shows a message."""
        limit = time.monotonic() + seconds
        while (shown := self.shows(name))["message"] != message:
            assert time.monotonic() < limit, shown
            time.sleep(0.05)
        return shown
