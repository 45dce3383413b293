# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks after a crash: the database has the phone's certificate, and the phone's retry succeeds (P1)."""

from __future__ import annotations

from sqlalchemy import create_engine, select

from capf.node import configuration
from capf.store.schema import certificates, operations
from support.client import Client
from support.enrolment import STRING, schedule_by_string
from support.node import RunningNode

A = "SEP00000000000A"


def record(node: RunningNode) -> tuple[str, dict[bytes, str]]:
    """Return the state of the phone's operation, and its certificates with their states, from the database itself."""
    engine = create_engine(configuration.load(node.config).database)
    with engine.connect() as connection:
        state = connection.execute(select(operations.c.state).order_by(operations.c.id.desc())).scalars().first()
        found = connection.execute(select(certificates.c.der, certificates.c.state)).all()
    engine.dispose()
    return str(state), {bytes(row.der): row.state for row in found}


def schedule(node: RunningNode) -> None:
    """Schedule an installation for the phone that only the killed session can have."""
    schedule_by_string(node, A)


def enrol(node: RunningNode) -> bytes:
    """Do what the phone's retry does; return the LSC."""
    client = Client(node.capf_port, A)
    client.authenticate(STRING)
    der = client.send_key()
    client.confirm()
    client.close()
    return der


def check_after_the_crash(node: RunningNode, held: bytes | None) -> None:
    """Check that the database has the phone's certificate, and that the phone's retry succeeds."""
    state, known = record(node)
    if held is not None:
        assert known[held] in ("issued", "active")
    assert (state, sorted(known.values())) in (
        ("pending", []), ("claimed", []), ("issued", ["issued"]), ("done", ["active"])
    )  # fmt: skip
    node.start()
    state, known = record(node)
    assert state in ("pending", "issued", "done")
    if state == "done":
        return
    der = enrol(node)
    state, after = record(node)
    assert state == "done" and after[der] == "active"
    assert [after[earlier] for earlier in known] == ["abandoned"] * len(known)
