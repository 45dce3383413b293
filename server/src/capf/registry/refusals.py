# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded refusals: counted and shown on the operation, which stays open (P33).

The audit table has a row for an operation's first refusal, its tenth, its hundredth and so on: an operation that is
refused a million times leaves seven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capf.model import Operation, Outcome, operation_status
from capf.registry import lifecycle
from capf.registry.transaction import SERVER, Transaction
from capf.store import audit, rows
from capf.store.schema import OperationRow
from capf.store.search_rows import REFUSAL_SEPARATOR

_LONGEST_ADDRESS = 64
ACTION = "refuse claim"


@dataclass(frozen=True, slots=True)
class Gathered:
    """Refusals of one operation: how many, and time (epoch seconds), address, outcome and problem of the last one."""

    count: int
    at: int
    peer: str
    outcome: Outcome
    problem: str


def write(tx: Transaction, gathered: Mapping[int, Gathered]) -> None:
    """Count refusals on their operations."""
    for operation_id, found in gathered.items():
        count(tx, rows.operation(tx.connection, operation_id), found)


def count(tx: Transaction, operation: OperationRow | None, found: Gathered) -> None:
    """Count refusals on an operation, and show the last one as its status unless a session carries the operation out.

    Do nothing if the operation no longer exists.
    """
    if operation is None:
        return
    before, status = operation.refusals, operation_status(Operation(operation.operation), found.outcome)
    peer = found.peer[:_LONGEST_ADDRESS]
    values: dict[str, Any] = {"refusals": before + found.count, "refused_at": found.at, "refused_from": peer}
    values |= {"refused_as": status, "refused_because": found.problem}
    if lifecycle.is_open(operation) and not operation.holder:
        values |= {"status": status, "problem": found.problem}
    rows.change_operation(tx.connection, operation.id, **values)
    if is_worth_a_row(before, before + found.count):
        detail = {"status": status, "problem": found.problem, "refusals": before + found.count, "from": peer}
        audit.record(tx.connection, found.at, SERVER, ACTION, operation.device_name, **detail)


def described(status: str | None, problem: str | None) -> str:
    """Return the last refusal in one line: its status and the problem; empty without a refusal."""
    return REFUSAL_SEPARATOR.join(filter(None, (status, problem)))


def is_worth_a_row(before: int, after: int) -> bool:
    """True if a count became 1 or passed a power of ten.

    Actions that anybody can cause only have these rows in the audit table.
    """
    return before == 0 or len(str(after)) > len(str(before))
