# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unusable files and rows of the state directory and the database, and what to do about them (P34, P36).

None of them keeps administration from running, which only needs its own key and certificate, and a database that
opens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from capf.model import DamagedError, Fault
from capf.registry import (
    account,
    capf_certificate,
    ctl_file,
    file_signer,
    nodes,
    parameters,
    service,
    strings_key,
    tokens,
    trace_settings,
)
from capf.registry.rollout.settings import from_record
from capf.registry.transaction import Transaction
from capf.store import audit, named_values, rollout_rows

_OF_SETTINGS: tuple[Callable[[Mapping[str, str]], list[Fault]], ...] = (
    account.faults,
    service.faults,
    parameters.faults,
    trace_settings.faults,
    capf_certificate.faults,
)
_OF_RECORD: tuple[Callable[[Transaction], list[Fault]], ...] = (
    strings_key.faults,
    tokens.faults,
    file_signer.faults,
    nodes.faults,
    ctl_file.faults,
)


def find(tx: Transaction) -> list[Fault]:
    """Return all faults, starting with those that keep CAPF from running."""
    found = [
        *tx.context.faults,
        *tx.context.troubles.values(),
        *of_settings(tx.connection),
        *_of_rollouts(tx.connection),
    ]
    for faults in _OF_RECORD:
        found += faults(tx)
    try:
        audit.head(tx.connection)
    except DamagedError as error:
        found.append(error.fault)
    return sorted(dict.fromkeys(found), key=lambda fault: not fault.stops_capf)


def of_settings(connection: Connection) -> list[Fault]:
    """Return the faults of the settings table."""
    texts = named_values.every(connection)
    return [fault for faults in _OF_SETTINGS for fault in faults(texts)]


def _of_rollouts(connection: Connection) -> list[Fault]:
    found = []
    for rollout in rollout_rows.every(connection):
        try:
            from_record(rollout_rows.settings_of(rollout))
            rollout_rows.skipped_of(rollout)
        except DamagedError as error:
            found.append(error.fault)
    return found


def check_start(tx: Transaction) -> parameters.InForce:
    """Return the parameters with which CAPF starts; DamagedError if a fault prevents it.

    The activation is not checked here: its own row is repaired by setting it again.
    """
    others = service.faults(named_values.every(tx.connection))
    stopping = next((fault for fault in find(tx) if fault.stops_capf and fault not in others), None)
    if stopping is not None:
        raise DamagedError(stopping)
    return parameters.stored(tx.connection)


def show(found: list[Fault]) -> list[dict[str, object]]:
    """Return faults as the API shows them."""
    return [
        {"where": item.where, "problem": item.problem, "todo": item.todo, "stops_capf": item.stops_capf}
        for item in found
    ]
