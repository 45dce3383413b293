# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checklist before certificate operations, including the state of the subscribers (R22, R33)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capf.administration.node import Node
from capf.administration.requests import read
from capf.cluster import delivery
from capf.cluster.delivery import Credentials
from capf.registry import nodes, preflight


async def check(
    node: Node, phones: Sequence[str] | None, parameters: Mapping[str, object], credentials: Credentials, *, reset: bool
) -> dict[str, Any]:
    """Return whether certificate operations can begin: each item with its result and what to do; change nothing.

    ``phones``: None for all; ``parameters``: the intended ones; ``reset``: whether this server shall reset the phones.
    """
    said = await delivery.ask(await read(node, lambda tx: nodes.further(tx.connection)), credentials)
    refusing = {name: str(error) for name, error in said.items() if isinstance(error, delivery.RefusedError)}
    unreachable = {name: str(error) for name, error in said.items() if error and name not in refusing}
    cannot_reset = reset and not node.resetter.command
    question = preflight.Question(phones, parameters, list(said), refusing, unreachable, cannot_reset)
    return preflight.show(await read(node, lambda tx: preflight.check(tx, question)))
