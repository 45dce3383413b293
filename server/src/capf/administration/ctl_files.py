# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CTL file: its state, its update, and its publication to the places from which phones fetch it (R3, R22, R24)."""

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
"""Only one CTL file is made at a time, because the keys of tokens are files outside the database."""


async def show(node: Node) -> dict[str, Any]:
    """Return the CTL file and whether it is current; on a subscriber, the published one."""
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
    """Update the CTL file if it is outdated; also return the problem of each node that cannot be reached.

    ConflictError, before anything is changed, if a node has different credentials (R17).
    """
    problems = await check_nodes(node, credentials)
    async with _MAKING:
        try:
            made = await change(node, lambda tx: ctl_file.make_current(tx, options, supplied), actor, dry_run=dry_run)
        finally:
            await read(node, ctl_file.sweep_keys)
        await put_in_place(node)
    return made, [f"{name}: {problem}" for name, problem in problems.items() if problem]


async def put_in_place(node: Node) -> None:
    """Write the CTL file from the database to the directories from which phones fetch it, if it is not there."""
    held = await read(node, lambda tx: ctl_file.last(tx.connection))
    if held is not None and node.folder.different({ctl.FILE_NAME: held.sha256}):
        await asyncio.to_thread(node.folder.write, {ctl.FILE_NAME: held.data})
