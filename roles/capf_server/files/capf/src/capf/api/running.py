"""A request of the administrator is one transaction, undone for a dry run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from capf.api.node import Node

T = TypeVar("T")
SERVICE_CHANGE = asyncio.Lock()
"""Starting and stopping the service, and changing its keys, are whole acts, one after the other."""


async def carry_out(node: Node, job: Callable[[Connection], T], *, dry_run: bool) -> T:
    """Run the job on the writer; a dry run gives the same answer and leaves no trace."""
    return await (node.store.adry_run(job) if dry_run else node.store.awrite(job))
