# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete node in this process: requests reach its server without sockets, as if they came from loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from capf.administration.new_node import NewNode, initialise
from capf.api.application import application
from capf.node import configuration
from capf.process.server import Server
from support.migrated import put_database
from support.node import ADMINISTRATOR, PASSWORD


def new_state(directory: Path) -> Path:
    """Make the state of a new first node in a directory, which is created; return it."""
    directory.mkdir(parents=True)
    url = put_database(directory)
    initialise(NewNode(directory, ADMINISTRATOR, PASSWORD, ["127.0.0.1"], database=url), time.time())
    return directory


_TOKEN = base64.b64encode(f"{ADMINISTRATOR}:{PASSWORD}".encode())


class Answer:
    """An answer; ``whole`` if it is complete."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.whole = False

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class InProcess:
    """A server on a state directory; ``begin`` does the part of a start before the ports are open."""

    def __init__(self, directory: Path, capf: str = "addresses = []\n") -> None:
        """``capf``: the settings of the CAPF port; without them it does not listen."""
        self.state = directory
        text = f"[server]\nstate_directory = {json.dumps(str(directory))}\n[capf]\n{capf}"
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

    async def ask(self, method: str, path: str, body: object = None, *, base: str = "/api/v1") -> Answer:
        """Return the answer to a request."""
        if path == "/readyz":
            await self.server.readiness.look()
        path, _mark, query = f"{base}{path}".partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        headers = [(b"authorization", b"Basic " + _TOKEN), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [*headers, (b"content-length", str(len(data)).encode())],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8443),
        }
        answer, asked = Answer(), False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.sleep(3600)
            asked = True
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
            else:
                answer.body += message.get("body", b"")
                answer.whole = not message.get("more_body", False)

        with contextlib.suppress(Exception):  # an exception after the answer is in the server's log
            await self._app(scope, receive, send)
        return answer

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """Return the body of the answer to a request that must succeed."""
        answer = await self.ask(method, path, body)
        assert answer.status == 200, answer.body
        return answer.json
