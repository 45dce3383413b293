"""What a monitor wants to know of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from capf.registry import need
from capf.registry.context import Context
from capf.store import journal, rows

_WARN_DAYS = 365
"""A CAPF certificate is renewed long before its end: LSCs never outlive it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many phones there are, with an LSC, and with which Operation Status."""

    phones: int
    active: int
    by_status: Mapping[str, int]


def counts(connection: Connection) -> Counts:
    """Count phones and certificates."""
    return Counts(rows.count_phones(connection), rows.count_all_active(connection), rows.count_statuses(connection))


def probe(connection: Connection, context: Context) -> None:
    """Write something new; an error when the database takes no writes, by its disk's fault or its own."""
    journal.put_setting(connection, "probe", str(context.clock()))


def days_left(context: Context) -> int:
    """Return in how many days the CAPF certificate expires."""
    left = context.authority.certificate.not_valid_after_utc.timestamp() - context.now
    return int(left // need.SECONDS_A_DAY)


def expires_soon(context: Context) -> bool:
    """True when the CAPF certificate is due to be renewed."""
    return days_left(context) < _WARN_DAYS


def warnings(context: Context) -> list[str]:
    """Return what will be a problem one day."""
    return [f"the CAPF certificate expires in {days_left(context)} days"] if expires_soon(context) else []
