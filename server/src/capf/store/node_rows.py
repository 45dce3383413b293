# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of the tables of nodes, security tokens and the CTL file.

Every function takes the caller's Connection; nothing here commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from capf.store.schema import CtlFileRow, NodeRow, SecurityTokenRow, ctl_file, nodes, security_tokens
from capf.store.statements import rows_of

_THE_FILE = 1


def all_nodes(connection: Connection) -> list[NodeRow]:
    """Return the cluster's nodes: the first node, then the subscribers by name."""
    query = select(nodes).order_by(nodes.c.first_node.desc(), nodes.c.name)
    return rows_of(connection, NodeRow._make, query)


def add_node(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a node."""
    connection.execute(nodes.insert(), dict(values))


def change_node(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Update a node."""
    connection.execute(nodes.update().where(nodes.c.name == name).values(dict(values)))


def remove_nodes(connection: Connection, names: Sequence[str]) -> None:
    """Delete nodes."""
    connection.execute(delete(nodes).where(nodes.c.name.in_(names)))


def tokens(connection: Connection) -> list[SecurityTokenRow]:
    """Return the security tokens by slot."""
    return rows_of(connection, SecurityTokenRow._make, select(security_tokens).order_by(security_tokens.c.slot))


def put_token(connection: Connection, slot: int, certificate: bytes, *, made_here: bool) -> None:
    """Put a token into a slot."""
    connection.execute(delete(security_tokens).where(security_tokens.c.slot == slot))
    connection.execute(security_tokens.insert(), {"slot": slot, "certificate": certificate, "made_here": made_here})


def last_ctl_file(connection: Connection) -> CtlFileRow | None:
    """Return the latest CTL file, None if none was made yet."""
    row = connection.execute(select(ctl_file).where(ctl_file.c.id == _THE_FILE)).first()
    return None if row is None else CtlFileRow._make(row)


def keep_ctl_file(connection: Connection, data: bytes, made_at: int, activations: int) -> None:
    """Replace the CTL file."""
    connection.execute(delete(ctl_file))
    values = {"id": _THE_FILE, "data": data, "made_at": made_at, "activations": activations}
    connection.execute(ctl_file.insert(), values)
