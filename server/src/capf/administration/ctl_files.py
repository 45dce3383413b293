# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CTL file: its state, making a new one, and putting it where phones fetch it (R3, R22, R24)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from capf.administration.node import Node
from capf.administration.publishing import check_nodes
from capf.administration.requests import change, read
from capf.certificates import ctl
from capf.cluster.delivery import Credentials
from capf.registry import ctl_file, tokens

_MAKING = asyncio.Lock()
"""Keys of tokens are files beside the database: the CTL file is made once at a time."""


async def show(node: Node) -> dict[str, Any]:
    """Return the CTL file and whether it is current; on a subscriber, the one that it was given."""
    if node.context.first_node:
        return ctl_file.show(await read(node, ctl_file.status))
    return ctl_file.show_received(await asyncio.to_thread(node.folder.read, ctl.FILE_NAME))


async def make(
    node: Node,
    options: ctl_file.Options,
    supplied: Sequence[tokens.Supplied],
    credentials: Credentials,
    actor: str,
    *,
    dry_run: bool,
) -> tuple[ctl_file.MadeCtlFile, list[str]]:
    """Make the CTL file again where it is outdated; returns also the nodes that cannot be reached, with their problem.

    ConflictError, before anything is changed, where a node has other credentials (R17).
    """
    problems = await check_nodes(node, credentials)
    async with _MAKING:
        try:
            made = await change(node, lambda tx: ctl_file.make_current(tx, options, supplied), actor, dry_run=dry_run)
        finally:
            await read(node, tokens.sweep)
        await put_in_place(node)
    return made, [f"{name}: {problem}" for name, problem in problems.items() if problem]


async def put_in_place(node: Node) -> None:
    """Write the CTL file of the database to where phones fetch it, where it is not there."""
    held = await read(node, lambda tx: ctl_file.last(tx.connection))
    if held is not None and node.folder.different({ctl.FILE_NAME: held.sha256}):
        await asyncio.to_thread(node.folder.write, {ctl.FILE_NAME: held.data})
