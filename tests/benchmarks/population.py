# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inserts a site's phones into the database: pending, failed, and with an LSC."""

from __future__ import annotations

import time

from sqlalchemy import insert

from capf.certificates.secretbox import SecretBox
from capf.store import schema
from capf.store.engine import Store
from support.node import RunningNode

_DAY = 86400
_STATUSES = ("Upgrade Success", "Upgrade Failed: Invalid MIC", "Operation Pending", "Upgrade Failed", "Upgrade Success")


def fill(node: RunningNode, count: int) -> None:
    """Insert the phones, operations and certificates of a typical site into the database of a stopped node."""
    secrets = SecretBox((node.state / "strings.key").read_bytes())
    now = int(time.time())
    store = Store(f"sqlite:///{node.state}/capf.db")
    names = [f"SEPA{index:011X}" for index in range(count)]
    phones, operations, certificates = [], [], []
    for index, name in enumerate(names):
        status = _STATUSES[index % len(_STATUSES)]
        state = "pending" if status == "Operation Pending" else "failed" if "Failed" in status else "done"
        phones.append(
            {
                "device_name": name, "description": f"Desk {index}", "device_pool": f"Pool {index % 40}",
                "device_security_mode": "Non Secure", "mic": True, "authentication_mode": "By Authentication String",
                "key_order": "RSA Only", "ec_key_size": 256, "operation_id": index + 1,
            }
        )  # fmt: skip
        operations.append(
            {
                "id": index + 1, "device_name": name, "operation": "Install/Upgrade",
                "authentication_mode": "By Authentication String",
                "authentication_string": secrets.encrypt("24681357", name) if state == "pending" else None,
                "key_order": "RSA Only", "key_size": 2048, "ec_key_size": 256, "completes_by": now + _DAY,
                "state": state, "status": status, "created_at": now,
            }
        )  # fmt: skip
        if state == "done":
            certificates.append(
                {
                    "serial_number": f"{index:032x}", "device_name": name, "operation_id": index + 1,
                    "der": b"x" * 1200, "issuer_key_id": "00", "issuer": "CN=CAPF-1a2b3c4d",
                    "issuer_not_after": now + 7000 * _DAY,
                    "not_before": now, "not_after": now + index % 1800 * _DAY, "ec": False, "bits": 2048,
                    "public_key_sha256": f"{index:064x}", "state": "active", "changed_at": now,
                }
            )  # fmt: skip
    for table, rows in ((schema.phones, phones), (schema.operations, operations), (schema.certificates, certificates)):
        store.write(lambda c, table=table, rows=rows: c.execute(insert(table), rows))  # type: ignore[misc]
    store.close()
