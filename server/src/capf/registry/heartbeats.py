# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that share one record: each has a heartbeat, and the operations of a silent one are released (R18).

A server is silent if its heartbeat does not change while another server watches: clocks of hosts are never compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capf.registry.transaction import Transaction
from capf.store import named_values, rows

SILENT_SECONDS = 20.0
"""Seconds without a heartbeat after which a server is silent: a phone retries after 30 seconds (R5)."""
_SIGN = "heartbeat of "


def beat(tx: Transaction, sign: str) -> None:
    """Record this server's heartbeat; ``sign`` differs from the previous one. Also synchronise the clocks of locks."""
    named_values.put(tx.connection, _SIGN + tx.context.node_name, sign)
    tx.context.elapsed.keep(tx.connection)


def of_others(tx: Transaction) -> dict[str, str]:
    """Return the last heartbeat of each other server that holds operations, by the name under which it holds them."""
    found = {}
    for holder in rows.holders(tx.connection):
        _unused, _space, node_name = holder.partition(" ")
        if node_name != tx.context.node_name:
            found[holder] = named_values.get(tx.connection, _SIGN + node_name) or ""
    return found


class Watch:
    """What one server has observed of the others, by its own monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def silent(self, found: Mapping[str, str], now: float) -> list[str]:
        """Note the heartbeats seen ``now``, and return the servers whose heartbeat has not changed for too long."""
        self._seen = {
            holder: self._seen[holder] if holder in self._seen and self._seen[holder][0] == sign else (sign, now)
            for holder, sign in found.items()
        }
        return [holder for holder, (_sign, since) in self._seen.items() if now - since >= SILENT_SECONDS]

    def forget(self) -> None:
        """Start over, because this server could not see the record itself."""
        self._seen.clear()


def take_over(tx: Transaction, holders: Sequence[str]) -> int:
    """Release the operations that silent servers held, and return their number."""
    count = sum(rows.release(tx.connection, holder) for holder in holders)
    if count:
        detail = {"from": sorted(holders), "operations": count}
        tx.audit("take over", **detail)
    return count
