"""The ends of operations that no phone ends: at their deadline, and at the end of their rollout (P33)."""

from __future__ import annotations

from collections.abc import Sequence

from capf.model import Operation, Outcome, operation_status
from capf.registry.transaction import SERVER, Transaction
from capf.store import rows
from capf.store.schema import OperationRow

AT_ONCE = 500
"""Operations that one transaction ends: no phone waits for thousands of them."""


def is_any_due(tx: Transaction) -> bool:
    """True when the deadline of an operation has passed that no session carries out."""
    return bool(rows.due_operations(tx.connection, tx.now, 1))


def end_due(tx: Transaction) -> int:
    """End operations at their deadline, ``AT_ONCE`` at most; returns how many.

    The last refusal's status becomes the operation's own; without one it is Late/Timedout. The string is erased. One
    that a session carries out now is left to the session.
    """
    return _end(tx, rows.due_operations(tx.connection, tx.now, AT_ONCE))


def end_refused(tx: Transaction, operation_ids: Sequence[int]) -> int:
    """End those of the operations that were refused and that nobody carried out since: the end of a rollout. Returns
    how many; what was never refused waits for its deadline."""
    return _end(tx, rows.refused_operations(tx.connection, operation_ids))


def _end(tx: Transaction, found: Sequence[OperationRow]) -> int:
    """End operations, each with what is shown of it; another server may have ended one meanwhile."""
    ended, server = 0, tx.by(SERVER)
    for row in found:
        late = operation_status(Operation(row.operation), Outcome.LATE)
        status, problem = (row.refused_as, row.refused_because) if row.refusals else (late, row.problem)
        if rows.end_unattended(tx.connection, row.id, status=status, problem=problem, ended_at=tx.now):
            server.audit("operation failed", row.device_name, status=status, problem=problem)
            ended += 1
    return ended
