# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Acts of an administrator, and a node whose acts cannot be recorded because its audit table is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, select

from capf.store import schema

A, B = "SEP00000000000A", "SEP00000000000B"
EC = {"key_order": "EC Only", "ec_key_size": 256}
PHONES = {"phones": [{"device_name": A, **EC}]}
WATCHED = (schema.phones, schema.operations, schema.certificates, schema.settings)
Row = tuple[Any, ...]


def rows(database: str) -> dict[str, list[Row]]:
    """Return everything in the database except the audit table and the probe that /readyz writes."""
    engine = create_engine(database)
    with engine.connect() as connection:
        found = {table.name: [tuple(row) for row in connection.execute(select(table))] for table in WATCHED}
    engine.dispose()
    found["settings"] = [row for row in found["settings"] if row[0] != "probe"]
    return {name: sorted(values, key=repr) for name, values in found.items()}


@contextmanager
def without_audit(database: str) -> Iterator[None]:
    """Remove the audit table, and put it back."""
    engine = create_engine(database)
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
    "schedule operation": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A]}),
    "schedule with a string": ("POST", "/operations", {"operation": "Install/Upgrade", "phones": [A], **BY_STRING}),
    "change service parameters": ("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}}),
    "change enterprise parameters": ("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": True}}),
    "deactivate": ("PUT", "/service", {"activated": False}),
    "restart service": ("POST", "/service/restart", {}),
    "reset phone": ("POST", "/phones/reset", {"phones": [A]}),
    "remove phone": ("POST", "/phones", {"phones": [{"device_name": A}], "state": "absent"}),
}
