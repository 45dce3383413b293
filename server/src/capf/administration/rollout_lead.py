# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the servers with one database runs a rollout: the one that signs, until it is silent (R18)."""

from __future__ import annotations

import logging
import time

from capf.administration.node import Node
from capf.administration.requests import change
from capf.registry.heartbeats import SILENT_SECONDS
from capf.registry.rollout import rolling
from capf.registry.transaction import SERVER, Transaction
from capf.store import rolling_rows
from capf.store.schema import RolloutRow

LOG = logging.getLogger(__name__)
_SIGN_SECONDS = SILENT_SECONDS / 4


class Lead:
    """The rollouts that this server leads, and what it has observed of other leaders by its own monotonic clock."""

    def __init__(self, node: Node) -> None:
        """``node``: this server."""
        self._node = node
        self._led: dict[int, tuple[int, float]] = {}
        self._others: dict[int, tuple[int, float]] = {}

    async def leads(self, rollout: RolloutRow) -> bool:
        """Return whether this server runs the rollout; it takes over where no other one does."""
        now, name = time.monotonic(), self._node.context.node_name
        if rollout.id in self._led:
            sign, signed_at = self._led[rollout.id]
            if rollout.leader != name or rollout.leader_sign != sign:
                del self._led[rollout.id]
                return False
            return now - signed_at < _SIGN_SECONDS or await self._sign(rollout, now)
        if rollout.leader not in ("", name) and self._node.store.can_be_shared and not self._is_silent(rollout, now):
            return False
        return await self._sign(rollout, now, takes_over=True)

    def _is_silent(self, rollout: RolloutRow, now: float) -> bool:
        sign, since = self._others.get(rollout.id, (None, now))
        if sign != rollout.leader_sign:
            self._others[rollout.id] = (rollout.leader_sign, now)
            return False
        return now - since >= SILENT_SECONDS

    async def _sign(self, rollout: RolloutRow, now: float, *, takes_over: bool = False) -> bool:
        def rule(tx: Transaction) -> int | None:
            if not rolling_rows.lead(tx.connection, rollout, self._node.context.node_name):
                return None
            return rolling.take_over(tx, rollout) if takes_over else 0

        uncertain = await change(self._node, rule, SERVER, dry_run=False)
        if uncertain is None:
            self._led.pop(rollout.id, None)
            return False
        if takes_over:
            LOG.info("event=rollout-led rollout=%r uncertain=%d", rollout.name, uncertain)
        self._led[rollout.id] = (rollout.leader_sign + 1, now)
        return True
