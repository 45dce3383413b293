# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes guessing authentication strings futile: limits who may try one, and counts wrong ones (R14).

Only a wrong string in string mode is a guess; a missing one is refused but not counted, because a starting phone sends
none. Each guess counts for its phone and address, and for its address over all phones; an address is an IPv4 address
or an IPv6 /64 network. Nobody can therefore lock a phone at an address other than their own.

* After ten wrong strings, the phone is locked for the address: for the configured time, then for twice as long, and so
  on up to a day. The right string resets the count.
* An address has a limited number of tries for an operation. Tries for earlier operations count too, unless the address
  was quiet for ten days: a new string is not a new chance.
* An address has a limited number of wrong strings in any 24 hours for all phones; a right string does not reset it.

An address that may not try is refused as for a wrong string, whatever it sends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from capf.addresses import counted_as
from capf.phone_session.effects import Claim
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import guesses
from capf.store.guesses import ALL_PHONES
from capf.store.schema import GuessRow, OperationRow

TRIES_TO_LOCK = 10
_SECONDS_A_MINUTE = 60
DAY = 86400
LONGEST_SECONDS = DAY
"""The maximum duration of a lock, unless a longer one is configured."""
QUIET_SECONDS = 10 * DAY
"""How long an address without tries left for an operation is refused, and how long its tries are remembered."""
MOST_ROWS = 100_000
"""The maximum number of rows for all addresses."""
_LOOK_AGAIN = 256
"""The number of new rows after which this server checks this limit."""
_DOUBLED_AT_MOST = 20
LOCKED, EXHAUSTED = "lock phone", "exhaust address"
"""The audit actions for a phone that was locked for an address, and for an address that has guessed too often."""


@dataclass(frozen=True, slots=True)
class _Try:
    """A phone's string, together with what its address has tried before."""

    address: str
    device_name: str
    operation: OperationRow
    now: int
    of_address: GuessRow | None
    of_phone: GuessRow | None

    def forgotten(self) -> bool:
        """True if the earlier tries of the address at the phone no longer count."""
        row = self.of_phone
        if row is None:
            return True
        other: bool = row.operation_id != self.operation.id
        return other and row.last_at + QUIET_SECONDS <= self.now and row.locked_until <= self.now


def may_try(tx: Transaction, claim: Claim, operation: OperationRow, string_is_right: bool) -> bool:
    """Return whether this address may try the phone's string now, and count the string if it is a guess.

    ``operation`` is the one that the string is for, in mode By Authentication String. A refused try writes nothing, so
    that a thousand messages a second cost no commit.
    """
    if not claim.password:
        return True
    address = counted_as(claim.peer)
    found = guesses.find(tx.connection, address, claim.device_name)
    if string_is_right and found == (None, None):
        return True
    tried = _Try(address, claim.device_name, operation, tx.context.elapsed.now(tx.connection), *found)
    if _is_refused(tx.context, tried):
        return False
    if string_is_right:
        return _is_let_in(tx, tried)
    _count(tx, tried)
    return True


def _is_refused(context: Context, tried: _Try) -> bool:
    return _is_locked(context, tried) or _is_exhausted(context, tried)


def _is_let_in(tx: Transaction, tried: _Try) -> bool:
    """Check again while no other server can write, and reset the count of the phone and the address."""
    if _is_refused(tx.context, _to_write(tx.connection, tried)):
        return False
    guesses.forget(tx.connection, tried.address, tried.device_name)
    return True


def _to_write(connection: Connection, tried: _Try) -> _Try:
    """Return the same with the rows locked until the transaction ends."""
    of_address, of_phone = guesses.find_to_write(connection, tried.address, tried.device_name)
    return replace(tried, of_address=of_address, of_phone=of_phone)


def _is_locked(context: Context, tried: _Try) -> bool:
    """True while the phone is locked for the address, or the address has no tries left for the operation."""
    row = tried.of_phone
    if row is None or tried.forgotten():
        return False
    used_up: bool = row.tries >= context.policy.tries_per_operation
    return row.locked_until > tried.now or (used_up and row.operation_id == tried.operation.id)


def _is_exhausted(context: Context, tried: _Try) -> bool:
    """True while the address has reached its daily limit of wrong strings."""
    row, most = tried.of_address, context.policy.wrong_strings_per_day
    return row is not None and row.tries >= most and sum(_last_day(row, tried.now).values()) >= most


def _last_day(row: GuessRow | None, now: int) -> dict[int, int]:
    """Return the number of wrong strings per minute that still count; empty for a damaged row."""
    try:
        minutes = json.loads(row.minutes) if row is not None and row.minutes else {}
    except ValueError:
        minutes = {}
    return {int(minute): count for minute, count in minutes.items() if _end(int(minute)) > now}


def _end(minute: int) -> int:
    """Return when the wrong strings of a minute stop counting, in the record's seconds."""
    return (minute + 1) * _SECONDS_A_MINUTE + DAY


def _count(tx: Transaction, tried: _Try) -> None:
    """Count a wrong string that was compared, whatever another server has counted meanwhile."""
    _make_rows(tx, tried)
    tried = _to_write(tx.connection, tried)
    guesses.change(tx.connection, tried.address, ALL_PHONES, **_guess_of_address(tx, tried))
    guesses.change(tx.connection, tried.address, tried.device_name, **_guess_of_phone(tx, tried))


def _make_rows(tx: Transaction, tried: _Try) -> None:
    missing = [tried.of_address is None, tried.of_phone is None]
    if not any(missing):
        return
    if tx.context.guesses_added >= _LOOK_AGAIN:
        tx.context.guesses_added = 0
        guesses.trim(tx.connection, tried.now, MOST_ROWS)
    for device_name, is_missing in zip((ALL_PHONES, tried.device_name), missing, strict=True):
        if is_missing:
            guesses.add(tx.connection, tried.address, device_name, tried.now)
            tx.context.guesses_added += 1


def _guess_of_address(tx: Transaction, tried: _Try) -> Mapping[str, Any]:
    """Count a wrong string for its address, record when the daily limit is reached, and return the row's change."""
    now, minutes = tried.now, _last_day(tried.of_address, tried.now)
    minute = now // _SECONDS_A_MINUTE
    minutes[minute] = minutes.get(minute, 0) + 1
    tries = sum(minutes.values())
    told_at = None if tried.of_address is None else tried.of_address.told_at
    until = _end(min(minutes)) if tries >= tx.context.policy.wrong_strings_per_day else 0
    if until and (told_at is None or told_at + DAY <= now):
        told_at = now
        guesses.count_exhaustion(tx.connection)
        _say(tx, EXHAUSTED, "", tried.address, tries, until - now)
    text = json.dumps(minutes, separators=(",", ":"))
    return {"tries": tries, "minutes": text, "locked_until": until, "last_at": now, "told_at": told_at}


def _guess_of_phone(tx: Transaction, tried: _Try) -> Mapping[str, Any]:
    """Count a wrong string for its phone, lock the phone for the address if due, and return the row's change."""
    policy, row = tx.context.policy, None if tried.forgotten() else tried.of_phone
    tries, to_lock, locks = (0, 0, 0) if row is None else (row.tries, row.tries_to_lock, row.locks)
    tries, to_lock, until, wait = tries + 1, to_lock + 1, 0 if row is None else row.locked_until, 0
    if tries >= policy.tries_per_operation:
        wait = max(QUIET_SECONDS, tried.operation.completes_by - tx.now)
    elif to_lock >= TRIES_TO_LOCK:
        wait = waits(policy.lock_seconds, locks)
    if wait:
        to_lock, locks, until = 0, locks + 1, tried.now + wait
        guesses.count_lock(tx.connection)
        _say(tx, LOCKED, tried.device_name, tried.address, tries, wait)
    return {
        "operation_id": tried.operation.id,
        "tries": tries,
        "tries_to_lock": to_lock,
        "locks": locks,
        "locked_until": until,
        "last_at": tried.now,
    }


def waits(lock_seconds: int, locks: int) -> int:
    """Return the seconds of a lock for an address and a phone after ``locks`` earlier ones."""
    return min(lock_seconds << min(locks, _DOUBLED_AT_MOST), max(lock_seconds, LONGEST_SECONDS))


def _say(tx: Transaction, action: str, device_name: str, address: str, tries: int, seconds: int) -> None:
    detail = {"address": address, "tries": tries, "seconds": seconds}
    tx.audit(action, device_name, **detail)


def unlock(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Unlock phones for all addresses and forget the tries at them; return the phones that were locked, in order.

    The daily count of an address is kept.
    """
    locked = guesses.locks(tx.connection, tx.context.elapsed.now(tx.connection), names)
    found = [name for name in names if name in locked]
    guesses.forget_phones(tx.connection, found)
    return found


@dataclass(frozen=True, slots=True)
class Lock:
    """The number of addresses for which a phone is locked, and when the last of these locks ends (epoch seconds)."""

    addresses: int
    until: int


def locks(tx: Transaction, names: Sequence[str] | None = None) -> dict[str, Lock]:
    """Return the current locks of the phones among ``names``, or of all phones."""
    now = tx.context.elapsed.exactly(tx.connection)
    ahead = tx.context.clock() - now
    found = guesses.locks(tx.connection, int(now), names)
    return {name: Lock(lock.addresses, round(lock.until + ahead)) for name, lock in found.items()}


def exhausted(tx: Transaction) -> list[str]:
    """Return the addresses that have reached their daily limit of wrong strings."""
    now, most = tx.context.elapsed.now(tx.connection), tx.context.policy.wrong_strings_per_day
    rows = guesses.of_addresses(tx.connection, most)
    return [row.address for row in rows if sum(_last_day(row, now).values()) >= most]


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of locks and of daily limits reached since the record was made."""

    locks: int
    exhaustions: int


def totals(connection: Connection) -> Totals:
    """Return the totals, which all servers of the record share."""
    row = guesses.clock(connection)
    return Totals(row.locks, row.exhaustions)


def any_on_record(connection: Connection) -> bool:
    """True if there is anything to maintain."""
    return guesses.any_on_record(connection)


def keep(tx: Transaction) -> None:
    """Maintain the locks: store the clock, and delete what no longer counts."""
    tx.context.elapsed.keep(tx.connection)
    now = tx.context.elapsed.now(tx.connection)
    guesses.sweep(tx.connection, now, DAY + _SECONDS_A_MINUTE, QUIET_SECONDS)
    guesses.trim(tx.connection, now, MOST_ROWS)
