# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs that share a commit: a failing job does not affect others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from capf.model import InvalidRequestError, StoreUnavailableError
from capf.phone_session.effects import Issue
from capf.registry import phones, sessions
from capf.registry.transaction import Transaction
from capf.store import named_values, rows, schema
from capf.store.engine import Store
from support.record import PHONE, Record, public_key

TOO_LARGE = 2**70


def by_statement(connection: Connection) -> None:
    """Pass a value that no column accepts to the driver."""
    rows.change_phone(connection, PHONE, operation_id=TOO_LARGE)


def by_core(connection: Connection) -> None:
    """Pass the value to SQLAlchemy."""
    connection.execute(schema.phones.update().values(operation_id=TOO_LARGE))


@pytest.mark.parametrize("wrong", [by_statement, by_core])
def test_a_value_that_the_database_refuses_is_its_own_jobs_fault(
    record: Record, wrong: Callable[[Connection], None]
) -> None:
    record.add()
    record.plan()
    mine, key, held = record.grant().hold, public_key(), threading.Event()
    first = record.store.submit(lambda _connection: held.wait(30))
    refused = record.store.submit(wrong)
    issued = record.store.submit(lambda c: sessions.issue(Transaction(c, record.context), Issue(mine, key)))
    held.set()
    assert first.result()
    with pytest.raises(InvalidRequestError if record.store.can_be_shared else OverflowError):
        refused.result()
    assert issued.result() is not None


def test_a_value_that_no_text_of_the_database_has_is_refused_in_a_search(record: Record) -> None:
    """SQLite accepts it; PostgreSQL refuses it but stays available."""

    def job(connection: Connection) -> object:
        return connection.execute(schema.phones.select().where(schema.phones.c.description == "a\0b")).first()

    if record.store.can_be_shared:
        with pytest.raises(InvalidRequestError, match="NUL"):
            record.store.read(job)
    else:
        assert record.store.read(job) is None


def test_many_phones_are_changed_each_in_its_own_way(record: Record) -> None:
    """The order of the settings may differ as well as the settings."""
    names = [f"SEP{index:012X}" for index in range(6)]
    for name in names:
        record.add(name, description="before", device_pool="before")
    changes = [{"description": f"d{index}", "device_pool": f"p{index}"} for index in range(2)]
    changes += [{"device_pool": "p2", "description": "d2"}, {"description": "d3"}, {"device_pool": "p4"}, {}]
    wanted = [{"device_name": name, **change} for name, change in zip(names, changes, strict=True)]
    done = record.run(lambda c: phones.ensure(Transaction(c, record.context, "test"), wanted, "present"))
    assert done.counts == {"created": 0, "updated": 5, "removed": 0, "unchanged": 1}
    now = record.store.read(lambda c: rows.phones_of(c, names))
    assert [(now[name].description, now[name].device_pool) for name in names] == [
        ("d0", "p0"), ("d1", "p1"), ("d2", "p2"), ("d3", "before"), ("before", "p4"), ("before", "before")]  # fmt: skip


def test_p21_a_database_that_is_read_only_is_unavailable_and_recovers(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/capf.db")

    def write(connection: Connection) -> None:
        named_values.put(connection, "probe", "1")

    def forbid_writes(connection: Any, *_unused: object) -> None:
        connection.execute(f"PRAGMA query_only={wanted[0]}")

    wanted = ["ON"]
    event.listen(store._engine, "checkout", forbid_writes)
    with pytest.raises(StoreUnavailableError, match="its file is read-only"):
        store.write(write)
    wanted[0] = "OFF"
    store.write(write)
    assert store.read(lambda connection: named_values.get(connection, "probe")) == "1"
    store.close()
