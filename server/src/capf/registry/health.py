# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbers and states that monitoring needs from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from capf.model import counted
from capf.registry import faults, forecast, need, service
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, named_values, rows

_WARN_DAYS = 365
"""Renew a CAPF certificate long before it expires, because LSCs never outlive it."""


@dataclass(frozen=True, slots=True)
class PhoneCounts:
    """The numbers of phones in total, with an LSC, and by Operation Status."""

    phones: int
    active: int
    by_status: Mapping[str, int]


def counts(connection: Connection) -> PhoneCounts:
    """Count phones and certificates."""
    return PhoneCounts(
        rows.count_phones(connection), certificate_rows.count_all_active(connection), rows.count_statuses(connection)
    )


def probe(tx: Transaction) -> None:
    """Write a new value; raise an error if the database cannot be written."""
    named_values.put(tx.connection, "probe", str(tx.context.clock()))


def why_stopped(context: Context) -> str:
    """Return why an activated CAPF is not running; empty while it runs."""
    return "" if context.running is not None else context.why_stopped or "it is being started"


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What keeps phones from being served, and warnings about other or future problems."""

    problems: list[str]
    warnings: list[str]


def readiness(tx: Transaction) -> NodeHealth:
    """Return the node's state according to the database and the files read at the start."""
    problems, found, signer = list[str](), warnings(tx.context), tx.context.authority
    if service.is_activated(tx.connection) and tx.context.running is None:
        problems.append(f"CAPF is activated but not running: {why_stopped(tx.context)}")
    if signer.usable and (why := forecast.nothing_is_issued(tx.context, tx.now)):
        problems.append(f"{why}; ucm.capf.capf_certificate renews it")
    for fault in faults.find(tx):
        serious = fault.stops_capf or fault.where in tx.context.troubles
        (problems if serious else found).append(str(fault))
    return NodeHealth(problems, found)


def days_left(context: Context) -> int:
    """Return in how many days the CAPF certificate expires."""
    return int((_end(context).timestamp() - context.now) // need.SECONDS_A_DAY)


def _end(context: Context) -> datetime:
    return context.authority.certificate.not_valid_after_utc


def expires_soon(context: Context) -> bool:
    """True if the CAPF certificate is due to be renewed, or cannot be used at all."""
    return not context.authority.usable or days_left(context) < _WARN_DAYS


def warnings(context: Context) -> list[str]:
    """Return the warnings."""
    if not context.authority.usable or not expires_soon(context) or context.authority.expired(context.now):
        return []
    return [f"the CAPF certificate expires in {counted(days_left(context), 'day')}"]
