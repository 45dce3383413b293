# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete node in this process: requests reach its server without sockets, as if they came from loopback."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from capf.administration.new_node import NewNode, initialise
from capf.api.application import application
from capf.node import configuration
from capf.process.server import Server
from support import asgi
from support.asgi import Answer
from support.prepared import NAMES, put_state
from support.record import Record
from support.requesting import ADMINISTRATOR, PASSWORD, Requesting

LOOPBACK = "127.0.0.1"
RESET = '[reset]\ncommand = ["true", "{names}"]\n'


def new_state(directory: Path, *, first_node: bool = True, database: str | None = None) -> Path:
    """Make the state of a new node in a directory, which is created; return it. ``database``: URL of an empty one."""
    directory.mkdir(parents=True)
    if database is None:
        put_state(directory, ADMINISTRATOR, PASSWORD, first_node=first_node)
    else:
        initialise(NewNode(directory, ADMINISTRATOR, PASSWORD, NAMES, (), database), time.time())
    return directory


class InProcess:
    """A server on a state directory; ``begin`` does the part of a start before the ports are open."""

    def __init__(self, directory: Path, capf: str = "addresses = []\naddresses_ipv6 = []\n", server: str = "") -> None:
        """Give the settings of the tables ``capf``, by default those of a port that does not listen, and ``server``."""
        self.state = directory
        text = f"[server]\nstate_directory = {json.dumps(str(directory))}\n{server}[capf]\n{capf}{RESET}"
        self.settings = configuration.parse(text)
        self._load()

    def _load(self) -> None:
        self.server = Server(self.settings)
        self._app = application(self.server, self.settings.administration_monitors)

    async def begin(self) -> InProcess:
        """Start, without a port of administration or files."""
        await self.server.begin()
        return self

    async def open(self, *, begin: bool = True) -> None:
        """Load the state again after ``close``, and start."""
        self._load()
        if begin:
            await self.begin()

    async def close(self) -> None:
        """Stop CAPF, and release lock and database."""
        await self.server.service.stop()
        self.server.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        base: str = "/api/v1",
        password: str = PASSWORD,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request; a body of bytes is sent as it is."""
        if path == "/readyz":
            await self.server.readiness.look()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await asgi.ask(
            self._app, method, base + path, client=LOOPBACK, password=password, body=data, headers=headers
        )

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """Return the body of the answer to a request that must succeed."""
        answer = await self.ask(method, path, body)
        assert answer.status == 200, answer.body
        return answer.json


class NodeInProcess(Requesting):
    """The node of a test that is not asynchronous: its event loop runs only during requests."""

    def __init__(self, node: InProcess) -> None:
        self._runner = asyncio.Runner()
        self._node = node
        self.state, self.database = node.state, node.settings.database
        self._runner.run(node.begin())

    def api(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        password: str = PASSWORD,
        base: str = "/api/v1",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and decoded body of a request."""
        asked = self._node.ask(method, path, body, password=password, base=base, headers=headers)
        answer = self._runner.run(asked)
        text = answer.body.decode(errors="replace")
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    @property
    def record(self) -> Record:
        """The record behind the sessions of phones."""
        return Record(self._node.server.store, self._node.server.context)

    def activate(self) -> None:
        """Activate CAPF."""
        self.ok("PUT", "/service", {"activated": True})

    def stop(self) -> None:
        """Close the node and its event loop."""
        self._runner.run(self._node.close())
        self._runner.close()
