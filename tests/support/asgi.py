# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""In-process requests to an application, from any address."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.types import ASGIApp

from support.requesting import token


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


def login(password: str) -> tuple[bytes, bytes]:
    """Return the header that logs in."""
    return b"authorization", f"Basic {token(password)}".encode()


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    client: str = "192.0.2.99",
    password: str | None = None,
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to a request; an exception after it is in the server's log."""
    path, _mark, query = path.partition("?")
    given = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    lines = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.1"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": lines if password is None else [*lines, login(password)],
        "client": (client, 40000), "server": ("192.0.2.1", 8443),
    }  # fmt: skip
    answer, asked = Answer(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.sleep(3600)
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
        else:
            answer.body += message.get("body", b"")
            answer.whole = not message.get("more_body", False)

    with contextlib.suppress(Exception):
        await app(scope, receive, send)
    return answer
