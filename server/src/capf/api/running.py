"""A request of the administrator is one transaction, undone for a dry run; one that waits looks again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from capf.api.node import Node

T = TypeVar("T")
_LOOK_AGAIN_SECONDS = 0.5
_REST = 4
"""A look at tens of thousands of phones takes its time, and phones' sessions want the same processor: between two looks
there is a pause of so many times the look."""
SERVICE_CHANGE = asyncio.Lock()
"""Starting and stopping the service, and changing its keys, are whole acts, one after the other."""


async def carry_out(node: Node, job: Callable[[Connection], T], *, dry_run: bool) -> T:
    """Run the job on the writer; a dry run gives the same answer and leaves no trace."""
    return await (node.store.adry_run(job) if dry_run else node.store.awrite(job))


async def until_ended(node: Node, look: Callable[[Connection], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what is seen once it is ``ended``, or when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        begin = loop.time()
        seen = await node.store.aread(look)
        now = loop.time()
        if seen["ended"] or now >= deadline:
            return seen
        await asyncio.sleep(min(max(_LOOK_AGAIN_SECONDS, _REST * (now - begin)), deadline - now))
