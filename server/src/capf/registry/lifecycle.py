# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an operation can still be carried out, whether a session is doing so, and how it ends without a phone (P33):
the only place for these rules.

An operation is open until an authenticated phone ends it, its deadline passes, or the administrator cancels it. An
ended operation is never reopened, even if it was refused before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from capf.model import AuthenticationMode, Operation, Outcome, State, operation_status
from capf.registry.transaction import SERVER, Transaction
from capf.store import rows
from capf.store.schema import OperationRow

_OPEN = frozenset(rows.OPEN)
AT_ONCE = 500
"""The number of operations that one transaction ends, so that no phone waits for thousands of them."""


class HasState(Protocol):
    """Any row with an operation's state, None if a phone never had an operation."""

    @property
    def state(self) -> str | None: ...


class HasSession(HasState, Protocol):
    """Any row that also has the holder of the operation and its authentication mode."""

    @property
    def holder(self) -> str | None: ...
    @property
    def authentication_mode(self) -> str | None: ...


def is_open(operation: HasState | None) -> bool:
    """True if the operation can still be carried out; False without an operation."""
    return operation is not None and operation.state in _OPEN


def in_session(operation: HasSession | None) -> bool:
    """True if a session that must not be disturbed carries out the operation: the phone may already be done.

    By null string the session is not authenticated: it counts only after it was sent a certificate.
    """
    if operation is None or not is_open(operation) or not operation.holder:
        return False
    mode = operation.authentication_mode
    return operation.state == State.ISSUED or (mode is not None and AuthenticationMode(mode).proves)


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
