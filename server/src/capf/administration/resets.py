# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resets phones to apply their settings (R28)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from capf.administration.node import Node
from capf.administration.publishing import publish_before_reset
from capf.administration.requests import change, read
from capf.cluster.delivery import Credentials
from capf.model import StoreUnavailableError
from capf.registry.progress import progress
from capf.registry.rollout import lease
from capf.registry.transaction import Transaction

_HEARTBEAT_SECONDS = 2.0
"""The pause between two looks at the rollout whose phones are reset."""


async def reset(
    node: Node,
    phones: Sequence[str],
    run: lease.Run | None,
    credentials: Credentials,
    actor: str,
    *,
    dry_run: bool,
) -> dict[str, str]:
    """Have the call processor reset phones after publishing their files to subscribers. Return the errors by name.

    InvalidRequestError if phones are not registered; ConflictError if no phone can be reset. With ``run``, which leads
    a rollout, ConflictError also if that ends or another run leads it: then no further phone is reset (P37).
    """
    node.resetter.check()
    await read(node, lambda tx: progress(tx.connection, phones))
    if dry_run:
        return {}
    await _lead(node, run, actor)
    await publish_before_reset(node, phones, credentials, actor)
    await change(node, lambda tx: _record(tx, phones), actor, dry_run=False)
    leading = asyncio.create_task(_keep_leading(node, run, actor))
    try:
        faults = await node.resetter.reset(phones, lambda: not leading.done())
        if leading.done():
            leading.result()
        return faults
    finally:
        leading.cancel()


async def _keep_leading(node: Node, run: lease.Run | None, actor: str) -> None:
    """Send the run's heartbeats until this task is cancelled; ConflictError if the run does not lead any longer."""
    while True:
        await asyncio.sleep(_HEARTBEAT_SECONDS)
        with suppress(StoreUnavailableError):
            await _lead(node, run, actor)


async def _lead(node: Node, run: lease.Run | None, actor: str) -> None:
    if run is not None:
        await change(node, lambda tx: lease.running(tx, run), actor, dry_run=False)


def _record(tx: Transaction, phones: Sequence[str]) -> None:
    for name in phones:
        tx.audit("reset phone", name)
