# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An administrator's request is one transaction, rolled back for a dry run; a waiting request polls.

A *rule* is a function of the registry, or a combination of several; its argument is the transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from capf.administration.node import Node
from capf.registry.transaction import Transaction
from capf.store import kinds, schema
from capf.store.engine import Stream

T = TypeVar("T")
Rule = Callable[[Transaction], T]
_LOOK_AGAIN_SECONDS = 0.5
_REST = 4
"""The pause between two polls, as a multiple of the duration of a poll: polling tens of thousands of phones must not
take too much processor time from sessions."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The changes of a use case; in a dry run, those that it would make."""

    changed: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)


async def read(node: Node, rule: Rule[T]) -> T:
    """Run a rule that only reads; return its result."""
    return await node.store.aread(lambda c: rule(Transaction(c, node.context)))


async def stream(node: Node, rule: Rule[Iterator[T]]) -> Stream[T]:
    """Return the stream of a rule that only reads; StoreUnavailableError if too many are open.

    DamagedError if a value in the database would end it in the middle.
    """
    await node.store.aread(lambda c: kinds.verify(c, schema.metadata.sorted_tables))
    return node.store.stream(lambda c: rule(Transaction(c, node.context)))


async def change(node: Node, rule: Rule[T], actor: str, *, dry_run: bool) -> T:
    """Run a rule for ``actor``; a dry run gives the same answer and changes nothing."""
    run = node.store.adry_run if dry_run else node.store.awrite
    return await run(lambda c: rule(Transaction(c, node.context, actor)))


async def until_ended(node: Node, rule: Rule[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Poll until the result is ``ended`` or the time is up; return the last result."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        begin = loop.time()
        seen = await read(node, rule)
        now = loop.time()
        if seen["ended"] or now >= deadline:
            return seen
        await asyncio.sleep(min(max(_LOOK_AGAIN_SECONDS, _REST * (now - begin)), deadline - now))
