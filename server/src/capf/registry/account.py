# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's account in the settings table (R17: one name and password for the cluster)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from capf.certificates import passwords
from capf.model import DamagedError, Fault
from capf.store import audit, named_values

ADMINISTRATOR, PASSWORD = "administrator", "password"
_TODO = "set name and password with `capf account`"


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of the account, with which nobody can log in."""
    where = "table settings, row {!r}"
    missing = [name for name in (ADMINISTRATOR, PASSWORD) if not texts.get(name)]
    found = [Fault(where.format(name), "the administrator's account is missing", _TODO) for name in missing]
    if PASSWORD not in missing and not passwords.is_kept_password(texts[PASSWORD]):
        found.append(Fault(where.format(PASSWORD), "it is not a stored password", _TODO))
    return found


def stored(connection: Connection) -> tuple[str, str]:
    """Return the administrator's name and the stored password hash; DamagedError if nobody can log in."""
    texts = named_values.every(connection)
    if found := faults(texts):
        raise DamagedError(found[0])
    return texts[ADMINISTRATOR], texts[PASSWORD]


def put(connection: Connection, administrator: str, password: str, now: float, actor: str) -> None:
    """Set the administrator's name and password."""
    named_values.put(connection, ADMINISTRATOR, administrator)
    named_values.put(connection, PASSWORD, passwords.hash_password(password))
    audit.record(connection, int(now), actor, "make account")
