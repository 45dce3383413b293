# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements behind the limits for wrong authentication strings, and behind the clock that measures the locks.

A row of ``guesses`` counts the tries of one address (``capf.addresses``) for one phone; the row without a device name
counts its tries for all phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, delete, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from capf.store.schema import GuessingClockRow, GuessRow, guesses, guessing_clock, operations
from capf.store.statements import Query, Statement, batches, rows_of

ALL_PHONES = ""
"""Stands for the device name in the row of an address as a whole."""

_ADDRESS: BindParameter[str] = bindparam("of_address")
_DEVICE: BindParameter[str] = bindparam("of_device")
_TWO_ROWS = (
    select(guesses)
    .where(guesses.c.address == _ADDRESS, or_(guesses.c.device_name == ALL_PHONES, guesses.c.device_name == _DEVICE))
    .order_by(guesses.c.device_name)
)
_FIND = Query(GuessRow._make, _TWO_ROWS)
# The row of the address comes first, so that servers that share the database lock the two in the same order.
_FIND_TO_WRITE = Query(GuessRow._make, _TWO_ROWS.with_for_update())
_ADD = Statement(insert(guesses).on_conflict_do_nothing())
_CHANGE = Statement(guesses.update().where(guesses.c.address == _ADDRESS, guesses.c.device_name == _DEVICE))
_FORGET = Statement(delete(guesses).where(guesses.c.address == _ADDRESS, guesses.c.device_name == _DEVICE))


@dataclass(frozen=True, slots=True)
class LockRow:
    """For how many addresses a phone is locked, and when the last of these locks ends, in the record's seconds."""

    addresses: int
    until: int


def find(connection: Connection, address: str, device_name: str) -> tuple[GuessRow | None, GuessRow | None]:
    """Return the tries of an address for all phones, and for one phone."""
    return _two(_FIND.all(connection, {"of_address": address, "of_device": device_name}), device_name)


def find_to_write(connection: Connection, address: str, device_name: str) -> tuple[GuessRow | None, GuessRow | None]:
    """Do what ``find`` does, and lock the rows until the transaction ends."""
    return _two(_FIND_TO_WRITE.all(connection, {"of_address": address, "of_device": device_name}), device_name)


def _two(rows: Sequence[GuessRow], device_name: str) -> tuple[GuessRow | None, GuessRow | None]:
    by_device = {row.device_name: row for row in rows}
    return by_device.get(ALL_PHONES), by_device.get(device_name)


def add(connection: Connection, address: str, device_name: str, now: int) -> None:
    """Insert a row unless it exists; another server may have inserted it at the same time."""
    _ADD.run(connection, {"address": address, "device_name": device_name, "last_at": now})


def change(connection: Connection, address: str, device_name: str, **values: Any) -> None:
    """Update one row if it exists."""
    _CHANGE.run(connection, {"of_address": address, "of_device": device_name, **values})


def forget(connection: Connection, address: str, device_name: str) -> None:
    """Delete one row."""
    _FORGET.run(connection, {"of_address": address, "of_device": device_name})


def forget_phones(connection: Connection, names: Sequence[str]) -> None:
    """Delete the tries for these phones, from all addresses."""
    for batch in batches(names):
        connection.execute(delete(guesses).where(guesses.c.device_name.in_(batch)))


def locks(connection: Connection, now: int, names: Sequence[str] | None = None) -> dict[str, LockRow]:
    """Return the locks in effect at ``now`` (the record's seconds) of the phones among ``names``, or of all phones."""
    query = (
        select(guesses.c.device_name, func.count(), func.max(guesses.c.locked_until))
        .where(guesses.c.locked_until > now, guesses.c.device_name != ALL_PHONES)
        .group_by(guesses.c.device_name)
    )
    if names is None:
        return {name: LockRow(count, until) for name, count, until in connection.execute(query)}
    found: dict[str, LockRow] = {}
    for batch in batches(names):
        for name, count, until in connection.execute(query.where(guesses.c.device_name.in_(batch))):
            found[name] = LockRow(count, until)
    return found


def of_addresses(connection: Connection, tries: int) -> list[GuessRow]:
    """Return the rows of addresses with at least this number of tries for all phones, by address."""
    query = select(guesses).where(guesses.c.device_name == ALL_PHONES, guesses.c.tries >= tries)
    return rows_of(connection, GuessRow._make, query.order_by(guesses.c.address))


def any_on_record(connection: Connection) -> bool:
    """Return whether there is any row."""
    return connection.execute(select(guesses.c.address).limit(1)).first() is not None


def sweep(connection: Connection, now: int, day: int, quiet: int) -> None:
    """Delete the rows that no longer count, in the record's seconds.

    The row of an address no longer counts after a ``day``, the row of a phone after ``quiet`` seconds without a try,
    unless it belongs to an operation whose string can still be guessed.
    """
    live = exists().where(operations.c.id == guesses.c.operation_id, operations.c.authentication_string.is_not(None))
    whole = guesses.c.device_name == ALL_PHONES
    old = or_(
        whole & (guesses.c.last_at < now - day),
        ~whole & (guesses.c.last_at < now - quiet) & (guesses.c.locked_until <= now) & ~live,
    )
    _delete(connection, select(guesses.c.address, guesses.c.device_name).where(old))


def trim(connection: Connection, now: int, most: int) -> None:
    """Delete rows beyond ``most``: those with the fewest tries first, the oldest among them, locked ones last.

    To remove a row, an attacker has to create all others with at least as many tries.
    """
    surplus = connection.execute(select(func.count()).select_from(guesses)).scalar_one() - most
    if surplus > 0:
        order = (case((guesses.c.locked_until > now, 1), else_=0), guesses.c.tries, guesses.c.last_at)
        _delete(connection, select(guesses.c.address, guesses.c.device_name).order_by(*order).limit(surplus))


def _delete(connection: Connection, query: Any) -> None:
    """Delete the rows that a query finds, except those that another server has locked."""
    found = [tuple(row) for row in connection.execute(query.with_for_update(skip_locked=True))]
    for batch in batches(found):
        connection.execute(delete(guesses).where(tuple_(guesses.c.address, guesses.c.device_name).in_(batch)))


_CLOCK = Query(GuessingClockRow._make, select(guessing_clock))
_CLOCK_TO_WRITE = Query(GuessingClockRow._make, select(guessing_clock).with_for_update())
_SET_CLOCK = Statement(guessing_clock.update())
_COUNT = {
    name: Statement(guessing_clock.update().values({name: guessing_clock.c[name] + 1}))
    for name in ("locks", "exhaustions")
}


def clock(connection: Connection) -> GuessingClockRow:
    """Return the record's seconds as last written, and the total number of locks since the beginning."""
    return _usable(_CLOCK.first(connection, {})) or _lost(connection)


def clock_to_write(connection: Connection) -> GuessingClockRow:
    """Do what ``clock`` does, and lock the row until the transaction ends; a lost or damaged row is replaced."""
    row = _usable(_CLOCK_TO_WRITE.first(connection, {}))
    if row is None:
        row = _lost(connection)
        connection.execute(delete(guessing_clock))
        connection.execute(guessing_clock.insert(), row._asdict())
    return row


def _usable(row: GuessingClockRow | None) -> GuessingClockRow | None:
    """Return the row unless its numbers are damaged, which SQLite would store."""
    numbers = () if row is None else (row.seconds, row.since_boot, row.locks, row.exhaustions)
    return row if all(isinstance(number, int) for number in numbers) else None


def _lost(connection: Connection) -> GuessingClockRow:
    """Return a clock that is not ahead: the record's seconds have at least reached the last wrong string."""
    last = connection.execute(select(func.coalesce(func.max(guesses.c.last_at), 0))).scalar_one()
    return GuessingClockRow(1, last, "", 0, 0, 0)


def set_clock(connection: Connection, seconds: int, boot: str, since_boot: int) -> None:
    """Write the record's seconds, and the host's clock at that time."""
    _SET_CLOCK.run(connection, {"seconds": seconds, "boot": boot, "since_boot": since_boot})


def count_lock(connection: Connection) -> None:
    """Count a lock of a phone for an address."""
    _COUNT["locks"].run(connection, {})


def count_exhaustion(connection: Connection) -> None:
    """Count an address that has reached its limit of wrong strings per day."""
    _COUNT["exhaustions"].run(connection, {})
