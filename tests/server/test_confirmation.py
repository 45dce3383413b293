# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing many phones, or deleting or revoking many LSCs, needs their number (P57); none is in a session (P33)."""

from __future__ import annotations

import pytest

from capf.model import ConflictError, InvalidRequestError, Operation
from capf.registry import confirmation, phones
from capf.registry.transaction import Transaction
from support.record import PHONE, Record, public_key

NAMES = [f"SEP0000000000{number:02X}" for number in range(30)]


def fill(record: Record, number: int) -> None:
    """Register phones."""
    wanted = [{"device_name": name} for name in NAMES[:number]]
    record.run(lambda c: phones.ensure(Transaction(c, record.context, "admin"), wanted, "present"))


def remove(record: Record, names: list[str], confirm: int | None = None) -> int:
    """Remove phones; returns how many."""
    wanted = [{"device_name": name} for name in names]
    done = record.run(lambda c: phones.ensure(Transaction(c, record.context, "admin"), wanted, "absent", confirm))
    return done.counts["removed"]


@pytest.mark.parametrize(
    ("number", "registered", "needed"),
    [(0, 0, False), (1, 1, False), (2, 30, True), (10, 200, False), (10, 199, True), (11, 100_000, True)],
)
def test_p57_more_than_10_phones_or_5_percent_need_their_number(number: int, registered: int, *, needed: bool) -> None:
    assert confirmation.is_needed(number, registered) is needed


@pytest.mark.parametrize("confirm", [None, 0, 3])
def test_p57_phones_are_removed_when_their_number_is_confirmed(quick: Record, confirm: int | None) -> None:
    fill(quick, 30)
    before = quick.acts()
    with pytest.raises(InvalidRequestError) as refused:
        remove(quick, NAMES[:4], confirm)
    assert [str(problem) for problem in refused.value.problems] == [
        "confirm: this would remove 4 of the 30 registered phones; set confirm to 4 if that is what you want"
    ]
    assert quick.acts() == before
    assert remove(quick, NAMES[:4], 4) == 4
    assert remove(quick, NAMES[:4], 4) == 0
    assert remove(quick, NAMES[4:5]) == 1


def test_p57_lscs_are_deleted_when_their_number_is_confirmed(quick: Record) -> None:
    fill(quick, 4)
    quick.plan(*NAMES[:4])
    for name in NAMES[:2]:
        quick.install(name)
    with pytest.raises(InvalidRequestError) as refused:
        quick.plan(*NAMES[:2], operation=Operation.DELETE)
    assert "delete the LSCs of 2 of the 4 registered phones; set confirm to 2" in str(refused.value)
    assert quick.plan(*NAMES[:2], operation=Operation.DELETE, confirm=2).scheduled == NAMES[:2]
    again = quick.plan(*NAMES[:2], operation=Operation.DELETE)
    assert (again.scheduled, again.pending) == ([], NAMES[:2])


def test_p33_a_phone_is_removed_unless_a_session_carries_its_operation_out(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    record.issue(granted.hold, public_key())
    with pytest.raises(ConflictError, match="in a session with CAPF now"):
        remove(record, [PHONE])
    record.lose(granted.hold)
    assert remove(record, [PHONE]) == 1, "its certificate was issued, but its session is over"
