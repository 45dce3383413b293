# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes database errors in words of this server, by the driver's error code; the driver's texts are never shown."""

from __future__ import annotations

from sqlalchemy.exc import TimeoutError as NoConnectionError

_WORDS = {
    "SQLITE_BUSY": "another process has locked it",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_CORRUPT": "its file is damaged; restore a backup",
    "SQLITE_ERROR": "its tables do not have this server's schema; restore a backup",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_IOERR": "its disk has an error",
    "SQLITE_NOTADB": "its file is not a database; restore a backup",
    "SQLITE_READONLY": "its file is read-only",
    "23": "it rejects rows that conflict with others",
    "25006": "it is read-only",
    "28": "it refuses the server's user or password",
    "3D000": "the server has no database of that name",
    "42501": "the server's user lacks a privilege",
    "42703": "its tables do not have this server's schema; restore a backup",
    "42P01": "its tables do not have this server's schema; restore a backup",
    "53": "it has run out of disk space or memory",
    "57": "it is being stopped or started",
}
"""By SQLite's primary result code, or by SQLSTATE (the whole code or its class)."""
_NOT_REACHED = "it cannot be reached; check its address, user and password"


def code(error: Exception) -> str:
    """Return the driver's code of an error, empty if it has none because no connection was made."""
    driver = getattr(error, "orig", None) or error
    return str(getattr(driver, "sqlite_errorname", None) or getattr(driver, "sqlstate", None) or "")


def words(error: Exception) -> str:
    """Return what is wrong with the database."""
    if isinstance(error, NoConnectionError):
        return "all connections to it are in use"
    said = code(error)
    primary = "_".join(said.split("_")[:2]) if said.startswith("SQLITE") else said
    known = _WORDS.get(primary) or _WORDS.get(primary[:2])
    if known is not None:
        return f"{known} ({said})"
    return f"its error code is {said}" if said else _NOT_REACHED
