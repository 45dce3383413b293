# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Activation of the CAPF service: explicit, and on the first node only (R13, R24)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from capf.model import ConflictError, Fault, FurtherNodeError
from capf.registry.transaction import Transaction
from capf.store import named_values

_ACTIVATED = "activated"
_ACTIVATIONS = "activations"
_RESTARTS = "restarts"
_SHOWN_CHARACTERS = 100
_DIGITS = 15


def is_activated(connection: Connection) -> bool:
    """Return whether the CAPF service is activated; after the installation it is not."""
    return named_values.get(connection, _ACTIVATED) == str(True)


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of the service's rows in the settings table."""
    activated = texts.get(_ACTIVATED, str(False))
    found = []
    if activated not in (str(True), str(False)):
        problem = f"{activated[:_SHOWN_CHARACTERS]!r} is neither True nor False, and CAPF counts as not activated"
        todo = "activate or deactivate CAPF with ucm.capf.capf_service"
        found.append(Fault(f"table settings, row {_ACTIVATED!r}", problem, todo, stops_capf=True))
    for name, todo in ((_ACTIVATIONS, "deactivate and activate CAPF"), (_RESTARTS, "restart CAPF")):
        text = texts.get(name, "0")
        if not _is_number(text):
            problem = f"{text[:_SHOWN_CHARACTERS]!r} is not a number, and counts as 0"
            found.append(Fault(f"table settings, row {name!r}", problem, f"{todo} with ucm.capf.capf_service"))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


def _count(connection: Connection, name: str) -> int:
    text = named_values.get(connection, name) or ""
    return int(text) if _is_number(text) else 0


def activations(connection: Connection) -> int:
    """Return how often CAPF was activated; each time, the CTL file has to be made again (R24)."""
    return _count(connection, _ACTIVATIONS)


def generation(connection: Connection) -> int | None:
    """Return a number that changes with every activation and restart of CAPF, None while it is not activated."""
    if not is_activated(connection):
        return None
    return activations(connection) + _count(connection, _RESTARTS)


def restart(tx: Transaction) -> None:
    """Restart CAPF on all its servers; ConflictError while it is not activated."""
    if not is_activated(tx.connection):
        raise ConflictError("the CAPF service is not activated")
    named_values.put(tx.connection, _RESTARTS, str(_count(tx.connection, _RESTARTS) + 1))
    tx.audit("restart service")


def activate(tx: Transaction, wanted: bool) -> bool:
    """Activate or deactivate, and return whether that is a change. ConflictError except on the first node."""
    if wanted and not tx.context.first_node:
        raise FurtherNodeError("CAPF is activated")
    if (named_values.get(tx.connection, _ACTIVATED) or str(False)) == str(wanted):
        return False
    named_values.put(tx.connection, _ACTIVATED, str(wanted))
    if wanted:
        named_values.put(tx.connection, _ACTIVATIONS, str(activations(tx.connection) + 1))
    action = "activate service" if wanted else "deactivate service"
    tx.audit(action)
    return True
