# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refused claims in memory: counted by cause for the metric, and collected by operation until they are recorded.

Anybody on the network can cause any number of refusals. A refusal therefore is not a commit: many of them become one
write, and until then there is one entry per operation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from capf.phone_session.effects import Cause, Refused
from capf.registry.refusals import Gathered


class Refusals:
    """The refusals of one server; used only by its event loop."""

    def __init__(self) -> None:
        self.by_cause: Counter[Cause] = Counter(dict.fromkeys(Cause, 0))
        """The number of refused claims since the start, by cause; every cause is a key."""
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
        """Wait until there are refusals to ``take``."""
        await self._some.wait()

    def take(self) -> Mapping[int, Gathered]:
        """Return the collected refusals by operation, and start over."""
        gathered, self._gathered = self._gathered, {}
        self._some.clear()
        return gathered

    def put_back(self, gathered: Mapping[int, Gathered]) -> None:
        """Add the refusals that could not be written again; a later refusal of the same operation stays the last
        one."""
        for operation_id, found in gathered.items():
            later = self._gathered.get(operation_id)
            self._gathered[operation_id] = found if later is None else replace(later, count=later.count + found.count)
            self._some.set()
