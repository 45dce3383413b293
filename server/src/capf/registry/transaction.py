# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument of every rule: one transaction of the record, by one actor, at one time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from capf.registry.context import Context
from capf.registry.parameters import InForce
from capf.store import audit

SERVER = "capf"
"""The actor of the server's own actions."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The argument of every rule; ``actor`` requests it: an administrator, a phone's address, or the server.

    ``now`` is the time of the whole transaction in epoch seconds.
    """

    connection: Connection
    context: Context
    actor: str = SERVER
    now: int = field(init=False)

    def __post_init__(self) -> None:
        """Read the clock once."""
        object.__setattr__(self, "now", self.context.now)

    @property
    def in_force(self) -> InForce:
        """The service parameters in force, or those of the next start."""
        return self.context.in_force(self.connection)

    def by(self, actor: str) -> Transaction:
        """Return the same transaction, at the same time, with another actor."""
        other = replace(self, actor=actor)
        object.__setattr__(other, "now", self.now)
        return other

    def audit(self, action: str, device_name: str = "", /, **detail: Any) -> None:
        """Record what was done, to which device; ``detail`` must not contain secrets.

        The row is written when the transaction ends: if one fails, so does the other.
        """
        audit.record(self.connection, self.now, self.actor, action, device_name, **detail)
