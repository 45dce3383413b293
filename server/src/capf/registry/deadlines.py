# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends operations that no phone has ended: at their deadline, and at the end of their rollout (P33)."""

from __future__ import annotations

from collections.abc import Sequence

from capf.model import Operation, Outcome, operation_status
from capf.registry.transaction import SERVER, Transaction
from capf.store import rows
from capf.store.schema import OperationRow

AT_ONCE = 500
"""The number of operations that one transaction ends, so that no phone waits for thousands of them."""


def is_any_due(tx: Transaction) -> bool:
    """True if an operation's deadline has passed and no session carries it out."""
    return bool(rows.due_operations(tx.connection, tx.now, 1))


def end_due(tx: Transaction) -> int:
    """End at most ``AT_ONCE`` operations at their deadline, and return their number.

    The last refusal's status becomes the operation's own; without one it is Late/Timedout. The string is erased. An
    operation that a session carries out is left to the session.
    """
    return _end(tx, rows.due_operations(tx.connection, tx.now, AT_ONCE))


def end_refused(tx: Transaction, operation_ids: Sequence[int]) -> int:
    """At the end of a rollout, end its operations that were refused and not carried out since.

    Returns their number; operations that were never refused wait for their deadline.
    """
    return _end(tx, rows.refused_operations(tx.connection, operation_ids))


def _end(tx: Transaction, found: Sequence[OperationRow]) -> int:
    """End operations, each with its status; another server may have ended one meanwhile."""
    ended, server = 0, tx.by(SERVER)
    for row in found:
        late = operation_status(Operation(row.operation), Outcome.LATE)
        status, problem = (row.refused_as, row.refused_because) if row.refusals else (late, row.problem)
        if rows.end_unattended(tx.connection, row.id, status=status, problem=problem, ended_at=tx.now):
            server.audit("operation failed", row.device_name, status=status, problem=problem)
            ended += 1
    return ended
