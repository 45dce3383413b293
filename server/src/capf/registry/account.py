# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's account in the settings table (R17: one name and password for the cluster)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import Connection

from capf.certificates import passwords
from capf.model import HIDDEN, ConflictError, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.store import audit, named_values

ADMINISTRATOR, PASSWORD = "administrator", "password"
CHANGED = "change the administrator's password"
"""The audit action for a changed password."""
_TODO = "set the password with `capf account password NAME`"
_MINIMUM_PASSWORD = 8
# A login sends name, colon and password in ASCII (RFC 7617).
_ADMINISTRATOR = re.compile("[ -9;-~]{1,200}")


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of the account that keep everybody from logging in."""
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


def problems(administrator: str, password: str) -> list[Problem]:
    """Return why an administrator cannot have this name or this password."""
    found = []
    if not _ADMINISTRATOR.fullmatch(administrator):
        allowed = "1 to 200 printable ASCII characters without a colon"
        found.append(not_allowed(ADMINISTRATOR, administrator, allowed))
    if len(password) < _MINIMUM_PASSWORD or not password.isascii() or not password.isprintable():
        message = f"the password is not allowed; give at least {_MINIMUM_PASSWORD} printable ASCII characters"
        found.append(Problem(PASSWORD, HIDDEN, message))
    return found


def begin(connection: Connection, administrator: str, password: str, now: float, actor: str) -> None:
    """Create the account, or find the same one in a shared database; ConflictError if that has a different one."""
    if PASSWORD not in named_values.every(connection):
        put(connection, administrator, password, now, actor)
        return
    name, kept = stored(connection)
    if name != administrator or not passwords.password_is_right(password, kept):
        raise ConflictError("the database has a different administrator account")


def put(connection: Connection, administrator: str, password: str, now: float, actor: str) -> None:
    """Set the administrator's name and password."""
    named_values.put(connection, ADMINISTRATOR, administrator)
    named_values.put(connection, PASSWORD, passwords.hash_password(password))
    audit.record(connection, int(now), actor, "make account")


def refuse_wrong(administrator: str, password: str) -> None:
    """Raise InvalidRequestError for a name or a password that is not allowed."""
    if found := problems(administrator, password):
        raise InvalidRequestError(found)


def renew(connection: Connection, before: str, after: str, now: int, actor: str) -> None:
    """Replace the stored hash ``before`` by ``after``; ConflictError if somebody else has replaced it."""
    if stored(connection)[1] != before:
        raise ConflictError("the password was changed meanwhile; try again")
    named_values.put(connection, PASSWORD, after)
    audit.record(connection, now, actor, CHANGED)
