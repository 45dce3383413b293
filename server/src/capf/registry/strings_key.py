# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether ``strings.key`` matches the database: with a different key, every phone's right string would fail (P34)."""

from __future__ import annotations

from sqlalchemy import Connection

from capf.certificates.secretbox import MissingSecretBox, SecretBox
from capf.model import Fault, counted
from capf.registry.transaction import Transaction
from capf.store import named_values, rows

_CHECK = "strings key"
"""The setting that identifies a key: a word that was encrypted with it."""
_MOST_LOOKED_AT = 1000


def keep_check(connection: Connection, secrets: SecretBox) -> None:
    """Record the key's check value, replacing an earlier one."""
    named_values.put(connection, _CHECK, secrets.encrypt(_CHECK, _CHECK).hex())


def keep_first_check(tx: Transaction) -> None:
    """Record the key's check value if there is none yet and the key matches; done at every start."""
    usable = not isinstance(tx.context.secrets, MissingSecretBox)
    if usable and not is_known(tx.connection) and fits(tx.connection, tx.context.secrets):
        keep_check(tx.connection, tx.context.secrets)


def fits(connection: Connection, secrets: SecretBox) -> bool:
    """Return whether the database was written with this key; without a check, whether it reads any string."""
    check = named_values.get(connection, _CHECK)
    if check is not None:
        return secrets.read(_bytes(check), _CHECK) is not None
    kept = list(rows.stored_strings(connection))
    return not kept or any(secrets.read(secret, name) is not None for name, secret in kept)


def is_known(connection: Connection) -> bool:
    """Return whether the database has a check value."""
    return named_values.get(connection, _CHECK) is not None


def is_due(tx: Transaction) -> bool:
    """Return whether the key is not the database's but no string needs a different one."""
    return not fits(tx.connection, tx.context.secrets) and not unreadable(tx)


def accept(tx: Transaction) -> None:
    """Accept the key if no string needs a different one, because each was scheduled again or cancelled.

    Only done when the administrator starts CAPF, never by the server itself.
    """
    if not is_due(tx):
        return
    keep_check(tx.connection, tx.context.secrets)
    tx.audit("accept strings.key")


def unreadable(tx: Transaction, most: int | None = None) -> list[str]:
    """Return the phones whose string cannot be read, among all or the latest ``most``."""
    return [
        name
        for name, secret in rows.stored_strings(tx.connection, most)
        if tx.context.secrets.read(secret, name) is None
    ]


def faults(tx: Transaction) -> list[Fault]:
    """Return the faults of the key or of single strings, of which the latest thousand are checked."""
    if any(fault.where.endswith("strings.key") for fault in tx.context.faults):
        return []
    where = f"{tx.context.token_directory.parent}/strings.key"
    if not fits(tx.connection, tx.context.secrets):
        problem = "it is not the key with which the strings of the database were encrypted"
        todo = (
            "restore the right key from a backup and restart the server; or, if it is lost, schedule all operations"
            " by authentication string again and restart CAPF with ucm.capf.capf_service"
        )
        return [Fault(where, problem, todo, stops_capf=True)]
    names = unreadable(tx, _MOST_LOOKED_AT)
    if not names:
        return []
    problem = (
        f"the authentication strings of {counted(len(names), 'phone')}, the first of them {names[0]}, cannot be read"
    )
    return [Fault("table operations", problem, "schedule their operations again")]


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
