# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace settings and trace files (R21, R27)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from capf.administration.node import Node
from capf.administration.requests import Changed, change, read
from capf.node import trace_files
from capf.node.trace_files import TraceFile
from capf.registry import trace_settings
from capf.registry.trace_settings import TraceSettings

_CHANGE = asyncio.Lock()
"""The settings that are recorded last are applied last."""


async def show(node: Node) -> list[dict[str, Any]]:
    """Return the trace settings, both stored and in effect."""
    stored = await _stored(node)
    return trace_settings.show(stored, node.trace.in_force or stored)


async def set_trace(node: Node, wanted: Mapping[str, object], actor: str, *, dry_run: bool) -> Changed:
    """Change trace settings; they take effect immediately."""
    async with _CHANGE:
        before, after = await change(node, lambda tx: trace_settings.change(tx, wanted), actor, dry_run=dry_run)
        if after and not dry_run:
            await apply(node)
    return Changed(bool(after), before, after)


async def apply(node: Node) -> None:
    """Apply the recorded settings."""
    node.trace.apply(await _stored(node))


async def files(node: Node) -> list[TraceFile]:
    """Return the trace files of the server and of Troubleshoot."""
    return await asyncio.to_thread(trace_files.listing, node.trace.directory)


async def content(node: Node, name: str) -> bytes | None:
    """Return the content of a trace file, None if it does not exist."""
    return await asyncio.to_thread(trace_files.read, node.trace.directory, name)


async def _stored(node: Node) -> TraceSettings:
    return await read(node, lambda tx: trace_settings.stored(tx.connection))
