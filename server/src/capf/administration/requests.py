# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A request of the administrator is one transaction, undone for a dry run; one that waits looks again and again.

A *rule* is a function of the registry, or several of them together: it takes the transaction in which it works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from capf.administration.node import Node
from capf.registry.transaction import Transaction
from capf.store.engine import Stream

T = TypeVar("T")
Rule = Callable[[Transaction], T]
_LOOK_AGAIN_SECONDS = 0.5
_REST = 4
"""A look at tens of thousands of phones takes its time, and phones' sessions want the same processor: between two looks
the server pauses for this multiple of the time that a look takes."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a use case has changed, or would change in a dry run."""

    changed: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)


async def read(node: Node, rule: Rule[T]) -> T:
    """Return what a rule reads."""
    return await node.store.aread(lambda c: rule(Transaction(c, node.context)))


def stream(node: Node, rule: Rule[Iterator[T]]) -> Stream[T]:
    """Return what a rule yields while it is read; StoreUnavailableError when many are open."""
    return node.store.stream(lambda c: rule(Transaction(c, node.context)))


async def change(node: Node, rule: Rule[T], actor: str, *, dry_run: bool) -> T:
    """Carry out a rule for ``actor``; a dry run gives the same answer and leaves no trace."""
    run = node.store.adry_run if dry_run else node.store.awrite
    return await run(lambda c: rule(Transaction(c, node.context, actor)))


async def until_ended(node: Node, rule: Rule[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what is seen once it is ``ended``, or when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        begin = loop.time()
        seen = await read(node, rule)
        now = loop.time()
        if seen["ended"] or now >= deadline:
            return seen
        await asyncio.sleep(min(max(_LOOK_AGAIN_SECONDS, _REST * (now - begin)), deadline - now))
