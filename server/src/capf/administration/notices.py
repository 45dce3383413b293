# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events for automation, by long polling (R30)."""

from __future__ import annotations

import asyncio
from typing import Any

from capf.administration.node import Node
from capf.administration.requests import read
from capf.registry import events
from capf.registry.transaction import Transaction

_LOOK_AGAIN_SECONDS = 1


async def wait(node: Node, after: str, seconds: float, days: int) -> tuple[list[dict[str, Any]], str]:
    """Return the events after a cursor, and the next cursor; wait up to ``seconds`` for events.

    Without a cursor: all events from now on, and every LSC that expires within ``days``.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    cursor = await read(node, lambda tx: events.read_cursor(tx.connection, after))

    def look(tx: Transaction) -> tuple[list[dict[str, Any]], events.Cursor]:
        return events.after(tx, cursor, days)

    while True:
        found, cursor = await read(node, look)
        left = deadline - asyncio.get_running_loop().time()
        if found or left <= 0:
            return found, str(cursor)
        await asyncio.sleep(min(_LOOK_AGAIN_SECONDS, left))
