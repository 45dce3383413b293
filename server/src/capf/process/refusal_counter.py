"""Refused claims in memory: counted by cause for the metric, and gathered by operation until the record has them.

Anybody on the network can cause a refusal, as often as they like. So a refusal is not a commit: many of them are one
write, and what is kept meanwhile is one entry an operation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from capf.phone_session.effects import Cause, Refused
from capf.registry.refusals import Gathered


class Refusals:
    """The refusals of one server; used by its event loop alone."""

    def __init__(self) -> None:
        self.by_cause: Counter[Cause] = Counter(dict.fromkeys(Cause, 0))
        """How many claims were refused since the start, every cause among the keys."""
        self._gathered: dict[int, Gathered] = {}
        self._some = asyncio.Event()

    def note(self, refused: Refused, peer: str, now: int) -> None:
        """Count a refusal of a phone at the address ``peer``; ``now``: epoch seconds."""
        self.by_cause[refused.cause] += 1
        if refused.operation_id is None or refused.outcome is None:
            return
        before = self._gathered.get(refused.operation_id)
        count = 1 if before is None else before.count + 1
        self._gathered[refused.operation_id] = Gathered(count, now, peer, refused.outcome, refused.problem)
        self._some.set()

    async def wait(self) -> None:
        """Wait until there is something to ``take``."""
        await self._some.wait()

    def take(self) -> Mapping[int, Gathered]:
        """Return what has gathered, by operation, and begin again with nothing."""
        gathered, self._gathered = self._gathered, {}
        self._some.clear()
        return gathered

    def put_back(self, gathered: Mapping[int, Gathered]) -> None:
        """Take back what could not be written; later refusals of the same operation stay the last ones."""
        for operation_id, found in gathered.items():
            later = self._gathered.get(operation_id)
            self._gathered[operation_id] = found if later is None else replace(later, count=later.count + found.count)
            self._some.set()
