# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports of administration and files speak HTTP/1.1 alone, so that a connection is one request at a time (P32)."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from capf.process.web import Web
from support.node import free_ports

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client sends that knows already that a server speaks HTTP/2 (RFC 9113, 3.4), with empty SETTINGS."""
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: capf\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
)


@pytest.mark.parametrize("sent", [PREFACE, UPGRADE], ids=["preface", "upgrade"])
async def test_p32_no_connection_changes_to_http_2(sent: bytes) -> None:
    (port,) = free_ports(1)
    stop = asyncio.Event()
    serving = asyncio.create_task(
        Web("files", PlainTextResponse("ok"), None, 10, 10).serve(["127.0.0.1"], port, stop.wait)
    )
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), 15)
    assert said.startswith(b"HTTP/1.1 200 ") and b"101 " not in said
    writer.close()
    stop.set()
    await serving
