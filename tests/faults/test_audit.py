"""No audit row, no act: for every kind of act of an administrator (P22)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from capf import config
from capf.store import schema
from support.client import Client
from support.node import RunningNode

A, B = "SEP00000000000A", "SEP00000000000B"
EC = {"key_order": "EC Only", "ec_key_size": 256}
PHONES = {"phones": [{"device_name": A, **EC}]}
WATCHED = (schema.phones, schema.operations, schema.certificates, schema.settings)
Row = tuple[Any, ...]


def rows(node: RunningNode) -> dict[str, list[Row]]:
    """Return everything in the database but the audit table, and the probe that /readyz writes."""
    engine = create_engine(config.load(node.config).database)
    with engine.connect() as connection:
        found = {table.name: [tuple(row) for row in connection.execute(select(table))] for table in WATCHED}
    engine.dispose()
    found["settings"] = [row for row in found["settings"] if row[0] != "probe"]
    return {name: sorted(values, key=repr) for name, values in found.items()}


@contextmanager
def without_audit(node: RunningNode) -> Iterator[None]:
    """Take the audit table away."""
    engine = create_engine(config.load(node.config).database)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO audit_away")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_away RENAME TO audit")
    engine.dispose()


BY_STRING = {"authentication_mode": "By Authentication String"}
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "add phone": ("POST", "/phones", {"phones": [{"device_name": B}]}),
    "change phone": ("POST", "/phones", {"phones": [{"device_name": A, "description": "changed"}]}),
    "remove phone": ("POST", "/phones", {"phones": [{"device_name": A}], "state": "absent"}),
    "schedule operation": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A]}),
    "schedule with a string": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A], **BY_STRING}),
    "change service parameters": ("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}}),
    "change enterprise parameters": ("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": True}}),
    "deactivate": ("PUT", "/service", {"activated": False}),
    "restart service": ("POST", "/service/restart", {}),
    "reset phone": ("POST", "/phones/reset", {"phones": [A]}),
}


@pytest.mark.parametrize("act", REQUESTS)
def test_p22_no_audit_row_no_act_of_an_administrator(node: RunningNode, act: str) -> None:
    node.ok("POST", "/phones", PHONES)
    before, running = rows(node), node.ok("GET", "/service")["running"]
    with without_audit(node):
        status, _answer = node.api(*REQUESTS[act])
    assert status == 503
    assert rows(node) == before
    assert node.ok("GET", "/service")["running"] == running


def test_p22_no_audit_row_no_cancelling_and_no_unlocking(node: RunningNode) -> None:
    node.ok("POST", "/phones", PHONES)
    node.schedule(A, **BY_STRING)
    for _index in range(10):
        Client(node.capf_port, A).authenticate("0")
    node.schedule(A, **BY_STRING)
    before = rows(node)
    with without_audit(node):
        cancel = {"operation": "No Pending Operation", "phones": [A]}
        assert node.api("POST", "/operations", cancel)[0] == 503
        assert node.api("POST", "/phones/unlock", {"phones": [A]})[0] == 503
    assert rows(node) == before
    assert node.ok("POST", "/phones/unlock", {"phones": [A]})["unlocked"] == [A]
