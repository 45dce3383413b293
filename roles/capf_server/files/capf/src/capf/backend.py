"""Joins the sessions to the record: each call is one job of the store's writer."""

from __future__ import annotations

from collections.abc import Sequence

from capf.effects import Claim, Granted, Refused
from capf.model import Outcome
from capf.registry import sessions
from capf.registry.context import Context
from capf.store.engine import Store


class RegistryBackend:
    """The ``listener.Backend`` over store and registry."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context

    async def claim(self, claim: Claim) -> Granted | Refused:
        """Decide and take the operation."""
        return await self._store.awrite(lambda connection: sessions.claim(connection, self._context, claim))

    async def issue(self, operation_id: int, public_key: bytes) -> bytes | None:
        """Sign and record a certificate."""
        return await self._store.awrite(
            lambda connection: sessions.issue(connection, self._context, operation_id, public_key)
        )

    async def confirm(self, operation_id: int) -> None:
        """Record that the phone did what was asked."""
        await self._store.awrite(lambda connection: sessions.confirm(connection, self._context, operation_id))

    async def fetched(self, operation_id: int, certificates: Sequence[tuple[int, bytes]]) -> None:
        """Record what Troubleshoot brought."""
        await self._store.awrite(
            lambda connection: sessions.fetched(connection, self._context, operation_id, certificates)
        )

    async def fail(self, operation_id: int, outcome: Outcome, problem: str) -> None:
        """Record a failure."""
        await self._store.awrite(
            lambda connection: sessions.fail(connection, self._context, operation_id, outcome, problem)
        )

    async def lost(self, operation_id: int) -> None:
        """Record a lost session."""
        await self._store.awrite(lambda connection: sessions.lost(connection, self._context, operation_id))
