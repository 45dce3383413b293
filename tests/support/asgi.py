# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""In-process requests to an application, from any address."""

from __future__ import annotations

import base64
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp

from support.node import ADMINISTRATOR


def login(password: str) -> tuple[bytes, bytes]:
    """Return the header that logs in."""
    return b"authorization", b"Basic " + base64.b64encode(f"{ADMINISTRATOR}:{password}".encode())


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    client: str = "192.0.2.99",
    password: str | None = None,
    body: bytes = b"{}",
) -> tuple[int, bytes]:
    """Return status and body of a request."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [] if password is None else [login(password)]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.1"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": headers, "client": (client, 40000), "server": ("192.0.2.1", 8443),
    }  # fmt: skip
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"]), b"".join(message.get("body", b"") for message in sent[1:])
