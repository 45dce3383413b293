"""Servers that share one record: each leaves signs of life, and what a silent one held goes back to the phones (R18).

A server is silent when its sign stays the same while another one looks on: no host's clock is compared with another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capf.registry.transaction import Transaction
from capf.store import journal, rows

SILENT_SECONDS = 20.0
"""How long a sign stays the same until its server is silent: a phone comes again after 30 seconds (R5)."""
_SIGN = "sign of life of "


def leave_sign(tx: Transaction, sign: str) -> None:
    """Show that this server lives; ``sign`` is another one than before. Their clocks of waits meet here as well."""
    journal.put_setting(tx.connection, _SIGN + tx.context.node_name, sign)
    tx.context.elapsed.keep(tx.connection)


def signs(tx: Transaction) -> dict[str, str]:
    """Return the last sign of each other server that holds operations, by the name under which it holds them."""
    found = {}
    for holder in rows.holders(tx.connection):
        _unused, _space, node_name = holder.partition(" ")
        if node_name != tx.context.node_name:
            found[holder] = journal.setting(tx.connection, _SIGN + node_name) or ""
    return found


class Watch:
    """What one server has seen of the others, by its own monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def silent(self, found: Mapping[str, str], now: float) -> list[str]:
        """Take the signs that are there ``now``; returns whose has not changed for long."""
        self._seen = {
            holder: self._seen[holder] if holder in self._seen and self._seen[holder][0] == sign else (sign, now)
            for holder, sign in found.items()
        }
        return [holder for holder, (_sign, since) in self._seen.items() if now - since >= SILENT_SECONDS]

    def forget(self) -> None:
        """Begin anew: this server could not see the record itself."""
        self._seen.clear()


def take_over(tx: Transaction, holders: Sequence[str]) -> int:
    """Give back to the phones what silent servers held; returns how many operations."""
    count = sum(rows.release(tx.connection, holder) for holder in holders)
    if count:
        detail = {"from": sorted(holders), "operations": count}
        tx.audit("take over", **detail)
    return count
