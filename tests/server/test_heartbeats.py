# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that share a record take over from one that is silent (R18)."""

from __future__ import annotations

import dataclasses

from capf.model import State
from capf.registry import heartbeats
from capf.registry.heartbeats import SILENT_SECONDS, Watch
from capf.registry.transaction import Transaction
from support.record import CODE, PHONE, Record, public_key


def other_server(record: Record) -> Record:
    """Return another server of the same record."""
    return Record(record.store, dataclasses.replace(record.context, node_name="node2"), record.times)


def test_r18_a_server_is_silent_when_its_sign_stays_the_same_for_long() -> None:
    watch = Watch()
    assert watch.silent({"a": "1", "b": "1"}, 0) == []
    assert watch.silent({"a": "2", "b": "1"}, SILENT_SECONDS - 1) == []
    assert watch.silent({"a": "3", "b": "1"}, SILENT_SECONDS) == ["b"]
    watch.forget()
    assert watch.silent({"a": "3", "b": "1"}, SILENT_SECONDS + 1) == []


def test_r18_what_a_silent_server_held_goes_back_to_the_phones_and_it_issues_nothing_more(record: Record) -> None:
    record.plan_by_string()
    other = other_server(record)
    granted = other.grant(password=CODE)
    (holder,) = record.store.read(lambda c: heartbeats.of_others(Transaction(c, record.context)))
    assert other.store.read(lambda c: heartbeats.of_others(Transaction(c, other.context))) == {}
    assert record.run(lambda c: heartbeats.take_over(Transaction(c, record.context), [holder])) == 1
    assert record.operation()["state"] == State.PENDING and "take over" in record.acts()
    again = record.grant(password=CODE)
    assert again.hold.operation_id == granted.hold.operation_id
    assert other.issue(granted.hold, public_key()) is None
    other.confirm(granted.hold)
    other.lose(granted.hold)
    assert record.operation()["state"] == State.CLAIMED and record.certificates(PHONE) == {}
    assert record.issue(again.hold, public_key()) is not None
    record.confirm(again.hold)
    assert record.operation()["state"] == State.DONE


def leave_sign(server: Record, sign: str) -> None:
    """Write the heartbeat of a server."""
    server.run(lambda c: heartbeats.beat(Transaction(c, server.context), sign))


def test_r18_each_server_leaves_its_own_sign(record: Record) -> None:
    record.add()
    record.plan()
    other = other_server(record)
    other.grant()
    for sign in ("1", "2"):
        leave_sign(record, "of this one")
        leave_sign(other, sign)
        found = record.store.read(lambda c: heartbeats.of_others(Transaction(c, record.context)))
        assert list(found.values()) == [sign]
