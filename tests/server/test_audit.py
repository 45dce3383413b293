# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit table is a chain in which every changed or removed row is detected (P22)."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, delete, select, update

from capf.model import DamagedError
from capf.registry.transaction import Transaction
from capf.store import audit, schema
from support.record import PHONE, Record

AUDIT = schema.audit


@pytest.fixture
def busy(record: Record) -> Record:
    """A record after a complete installation."""
    record.add()
    record.plan()
    record.install()
    return record


def test_p22_an_untouched_audit_table_verifies(busy: Record) -> None:
    assert busy.store.read(audit.broken_row) is None


@pytest.mark.parametrize("column", ["at", "actor", "action", "device_name", "detail", "digest"])
def test_p22_a_changed_row_is_found(busy: Record, column: str) -> None:
    value = 1 if column == "at" else "changed"
    busy.run(lambda c: c.execute(update(AUDIT).where(AUDIT.c.id == 3).values({column: value})))
    assert busy.store.read(audit.broken_row) == 3


@pytest.mark.parametrize("row", [1, 3, 5])
def test_p22_a_row_that_is_taken_out_is_found(busy: Record, row: int) -> None:
    busy.run(lambda c: c.execute(delete(AUDIT).where(AUDIT.c.id == row)))
    assert busy.store.read(audit.broken_row) is not None


def test_p22_a_transaction_has_one_time_whoever_acts(record: Record) -> None:
    """Time passes during the transaction."""

    def work(connection: Connection) -> None:
        tx = Transaction(connection, record.context, "administrator")
        tx.audit("first")
        record.wait(60)
        tx.by("phone").audit("second")

    begin = int(record.times[0])
    record.run(work)
    last = select(AUDIT.c.at, AUDIT.c.actor).order_by(AUDIT.c.id.desc()).limit(2)
    acts = [tuple(row) for row in record.store.read(lambda c: c.execute(last).all())]
    assert acts == [(begin, "phone"), (begin, "administrator")]


def test_p22_no_audit_row_no_act(record: Record) -> None:
    record.add()
    record.run(lambda c: c.exec_driver_sql("DELETE FROM audit_head"))
    with pytest.raises(DamagedError, match=r"audit_head.*restore a backup"):
        record.plan()
    operations = select(schema.operations).where(schema.operations.c.device_name == PHONE)
    assert record.store.read(lambda c: c.execute(operations).first()) is None
