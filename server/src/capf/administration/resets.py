# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resets phones to apply their settings (R28)."""

from __future__ import annotations

from collections.abc import Sequence

from capf.administration.node import Node
from capf.administration.publishing import publish_before_reset
from capf.administration.requests import change, read
from capf.cluster.delivery import Credentials
from capf.registry.progress import progress
from capf.registry.transaction import Transaction


async def reset(
    node: Node, phones: Sequence[str], credentials: Credentials, actor: str, *, dry_run: bool
) -> dict[str, str]:
    """Have the call processor reset phones after publishing their files to subscribers. Return the errors by name.

    InvalidRequestError if phones are not registered; ConflictError if no phone can be reset.
    """
    node.resetter.check()
    await read(node, lambda tx: progress(tx.connection, phones))
    if dry_run:
        return {}
    await publish_before_reset(node, phones, credentials, actor)
    await change(node, lambda tx: _record(tx, phones), actor, dry_run=False)
    return await node.resetter.reset(phones)


def _record(tx: Transaction, phones: Sequence[str]) -> None:
    for name in phones:
        tx.audit("reset phone", name)
