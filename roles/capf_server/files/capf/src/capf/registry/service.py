"""Activation of the CAPF service: explicit, and on the first node only (R13, R24)."""

from __future__ import annotations

from sqlalchemy import Connection

from capf.model import ConflictError
from capf.registry.context import Context
from capf.store import journal

_ACTIVATED = "activated"
_ACTIVATIONS = "activations"
_RESTARTS = "restarts"


def is_activated(connection: Connection) -> bool:
    """Return whether the CAPF service is activated; after the installation it is not."""
    return journal.setting(connection, _ACTIVATED) == "True"


def activations(connection: Connection) -> int:
    """Return how often CAPF was activated; the CTL file has to be made again after each time (R24)."""
    return int(journal.setting(connection, _ACTIVATIONS) or 0)


def turn(connection: Connection) -> int | None:
    """Return a number that every activation and restart of CAPF changes, None while it is not activated."""
    if not is_activated(connection):
        return None
    return activations(connection) + int(journal.setting(connection, _RESTARTS) or 0)


def restart(connection: Connection, context: Context, actor: str) -> None:
    """Let CAPF restart wherever it runs; ConflictError while it is not activated."""
    if not is_activated(connection):
        raise ConflictError("the CAPF service is not activated")
    journal.put_setting(connection, _RESTARTS, str(int(journal.setting(connection, _RESTARTS) or 0) + 1))
    journal.record(connection, context.now, actor, [journal.Act("restart service")])


def activate(connection: Connection, context: Context, wanted: bool, actor: str) -> bool:
    """Activate or deactivate; returns whether that is a change. ConflictError on any node but the first."""
    if wanted and not context.first_node:
        raise ConflictError("CAPF is activated on the first node only; this is a further node")
    if is_activated(connection) == wanted:
        return False
    journal.put_setting(connection, _ACTIVATED, str(wanted))
    if wanted:
        journal.put_setting(connection, _ACTIVATIONS, str(activations(connection) + 1))
    action = "activate service" if wanted else "deactivate service"
    journal.record(connection, context.now, actor, [journal.Act(action)])
    return True
