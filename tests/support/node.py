# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real server in a separate process, on free loopback ports."""

from __future__ import annotations

import json
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from capf.administration.new_node import NewNode, initialise
from capf.api import application
from capf.certificates import keystore
from capf.cluster import sharing
from capf.node import configuration
from support.launcher import Launcher, Process
from support.prepared import NAMES, put_state
from support.requesting import ADMINISTRATOR, PASSWORD, Requesting, token

CAPF = Path(sys.executable).with_name("capf")
LAB = (sys.executable, "-m", "capf_lab")
"""A prefix for the lab's command."""
_SERVER = Launcher(
    "capf",
    "capf.command_line.main:main",
    "capf.command_line.server_commands",
    "capf.process.server",
    f"{application.__name__}:{application.routes.__name__}",
)
_START_SECONDS = 90
_PORTS = range(20000, 32000)
"""Below the kernel's range for outgoing connections, one of which could occupy the port while a server restarts."""


def free_ports(count: int) -> list[int]:
    """Return TCP ports that are now free on loopback."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
        if len(found) == count:
            break
    return found


class RunningNode(Requesting):
    """A node: the constructor does what ``capf init`` does, ``start`` and ``stop`` control ``capf serve``."""

    def __init__(
        self,
        directory: Path,
        *,
        first_node: bool = True,
        manufacturing_ca: Path | None = None,
        database: str | None = None,
        like: RunningNode | None = None,
        password: str = PASSWORD,
    ) -> None:
        """``database``: URL of an existing database; ``like``: the node with which it is shared."""
        self.directory = directory
        self.state = directory / "state"
        self.port, self.capf_port, self.files_port, self.control_port = free_ports(4)
        self.config = directory / "capf.toml"
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | Process | None = None
        self.installed = False
        """Whether the installed command is started, instead of what it runs."""
        directory.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._configuration(first_node, database))
        manufacturing = [] if manufacturing_ca is None else [manufacturing_ca]
        if database is None and like is None:
            put_state(self.state, ADMINISTRATOR, password, first_node=first_node)
            authorities = [found for path in manufacturing for found in keystore.certificates(path)]
            keystore.Keystore(self.state).manufacturing.add(authorities)
        else:
            self._initialise(password, manufacturing, database, like)

    def _initialise(
        self, password: str, manufacturing: Sequence[Path], database: str | None, like: RunningNode | None
    ) -> None:
        """Do what ``capf init`` does in this process, which is faster than a new one."""
        self.state.mkdir(parents=True, exist_ok=True)
        keys = None if like is None else sharing.files(like.state)
        wanted = NewNode(self.state, ADMINISTRATOR, password, NAMES, manufacturing, database, keys)
        initialise(wanted, time.time())

    def _configuration(self, first_node: bool, database: str | None) -> str:
        reset = [*LAB, "reset", "--control", f"127.0.0.1:{self.control_port}", "{names}"]
        return (
            f"[server]\nstate_directory = {json.dumps(str(self.state))}\nfirst_node = {json.dumps(first_node)}\n"
            f'node_name = "127.0.0.1"\n'
            + (f"database = {json.dumps(database)}\n" if database else "")
            + f"[administration]\nport = {self.port}\n"
            '[capf]\naddresses = ["127.0.0.1"]\naddresses_ipv6 = ["::1"]\ndrain_seconds = 1\n'
            f'[files]\naddresses = ["127.0.0.1"]\nport = {self.files_port}\n'
            f"[reset]\ncommand = {json.dumps(reset)}\n"
        )

    def configure(self, table: str, **settings: object) -> RunningNode:
        """Change settings of the configuration file; they take effect at the next start."""
        document = tomllib.loads(self.config.read_text())
        document.setdefault(table, {}).update(settings)
        lines = []
        for name, content in document.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in content.items())]
        self.config.write_text("\n".join(lines) + "\n")
        return self

    @property
    def database(self) -> str:
        """The URL of the database."""
        return configuration.load(self.config).database

    @property
    def capf_certificate(self) -> Path:
        """The CAPF certificate, PEM."""
        return self.state / "capf.crt"

    @property
    def files_server(self) -> str:
        """URL of the files port."""
        return f"http://127.0.0.1:{self.files_port}"

    def start(self) -> RunningNode:
        """Start the process and wait until it answers."""
        with self.log.open("ab") as log:
            argv: list[str | Path] = ["serve", "--config", self.config]
            if self.installed:
                self.process = subprocess.Popen([CAPF, *argv], stdout=log, stderr=log)
            else:
                self.process = _SERVER.start(*argv, output=log.fileno())
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                break
            try:
                self.api("GET", "/healthz", base="")
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(f"the server does not start: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the process; return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(_START_SECONDS)

    def api(
        self, method: str, path: str, body: object = None, *, password: str = PASSWORD, base: str = "/api/v1"
    ) -> tuple[int, Any]:
        """Return status and decoded body of a request."""
        headers = {"Authorization": f"Basic {token(password)}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{base}{path}", data, headers, method=method)
        trust = ssl.create_default_context(cafile=str(self.state / "administration.crt"))
        try:
            with urllib.request.urlopen(request, timeout=60, context=trust) as answer:
                text = answer.read().decode(errors="replace")
                status = answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read().decode(), error.code
        return status, json.loads(text) if text.startswith(("{", "[")) else text

    def activate(self, **enterprise: object) -> None:
        """Activate CAPF on this node's port."""
        parameters = {"CAPF Phone Port": self.capf_port, **enterprise}
        self.ok("PUT", "/enterprise-parameters", {"parameters": parameters})
        self.ok("PUT", "/service", {"activated": True})
