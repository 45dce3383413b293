# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout of twelve phones in this process, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select

from capf.model import InvalidRequestError, Operation, Outcome
from capf.phone_session.effects import Granted, Refused
from capf.registry import parameters, service
from capf.registry.parts import KEYS
from capf.registry.rollout import abort as aborting
from capf.registry.rollout import begin as beginning
from capf.registry.rollout import judge, lease, plan, show, waves
from capf.registry.rollout.settings import read
from capf.registry.transaction import Transaction
from capf.store import rollout_rows, rows, schema
from support.client import new_public_key
from support.record import NOW, Record

NAMES = [f"SEP0000000000{index:02X}" for index in range(12)]
NIGHT, RUN = "night", "run-1"
STRING = "By Authentication String"


def prepare(record: Record) -> None:
    """Register twelve phones of three sites, and start CAPF."""
    for index, name in enumerate(NAMES):
        record.add(name, device_pool=["Berlin", "Oslo", "Rome"][index % 3], key_order="EC Only", ec_key_size=256)
    record.run(lambda c: service.activate(Transaction(c, record.context, "admin"), True))
    record.context.running = record.run(parameters.stored)


def begin(record: Record, *names: str, runner: str = RUN, rollout: str = NIGHT, **settings: Any) -> plan.Plan:
    """Begin a rollout of the named phones, by default of all."""
    modes = settings.pop("modes_after", {})
    strings, early = settings.pop("strings", {}), settings.pop("early", True)
    awaited = settings.pop("rollout_id", None)
    wanted = (rollout, runner, names or NAMES, read(settings), modes, strings, early)
    request = plan.RolloutRequest(*wanted, rollout_id=awaited)
    return record.run(lambda c: beginning.begin(Transaction(c, record.context, "admin"), request))


def dry_run(record: Record, runner: str = "run-2", **settings: Any) -> plan.Plan:
    """Return the plan of a run without changing anything."""
    request = plan.RolloutRequest(NIGHT, runner, NAMES, read(settings), dry_run=True)
    before = on_record(record)
    made = asyncio.run(
        record.store.adry_run(lambda c: beginning.begin(Transaction(c, record.context, "admin"), request))
    )
    assert before == on_record(record)
    return made


def all_rows(connection: Connection, table: Table) -> list[Any]:
    """Return a table's rows."""
    return list(connection.execute(select(table)))


def on_record(record: Record) -> list[Any]:
    """Return all rows of rollouts and operations."""
    tables = (schema.rollouts, schema.rollout_waves, schema.rollout_phones, schema.operations)
    return [record.store.read(partial(all_rows, table=table)) for table in tables]


def run_of(record: Record, runner: str = RUN) -> lease.Run:
    """Return a run that leads the latest rollout."""
    return lease.Run(NIGHT, record.store.read(lambda c: show.find(c, NIGHT)).id, runner)


def start(record: Record, runner: str = RUN, strings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Start the next wave, with authentication strings that are given for its phones."""
    run = run_of(record, runner)
    return record.run(lambda c: waves.start(Transaction(c, record.context, "admin"), run, strings or {}))


def enrol(record: Record, *names: str) -> None:
    """Install an LSC on each phone."""
    for name in names:
        granted = record.grant(name)
        assert record.issue(granted.hold, new_public_key())
        record.confirm(granted.hold)


def arrive(record: Record, name: str) -> Granted | Refused:
    """Make a phone send its claim, with its string if one is required."""
    operation = record.store.read(lambda c: rows.operations_of(c, [name])).get(name)
    sealed = None if operation is None else operation.authentication_string
    return record.claim(name, **({} if sealed is None else {"password": record.context.secrets.decrypt(sealed, name)}))


def lose(record: Record, name: str) -> None:
    """Make a phone connect and lose its session."""
    come = arrive(record, name)
    if isinstance(come, Granted):
        record.lose(come.hold)


def succeed(record: Record, name: str) -> None:
    """Make a phone connect and, if its claim is granted, carry out its operation."""
    come = arrive(record, name)
    if not isinstance(come, Granted):
        return
    if come.operation is Operation.INSTALL:
        record.issue(come.hold, new_public_key())
    record.confirm(come.hold)


def fail(record: Record, name: str, outcome: Outcome) -> None:
    """Make a phone's operation fail and end."""
    record.fail(record.grant(name).hold, outcome)
    record.end_refused(name)


def verdict(record: Record, number: int, *missing: str) -> dict[str, Any]:
    """Judge a wave."""
    run = run_of(record)
    return record.run(lambda c: judge.judge(Transaction(c, record.context, "admin"), run, number, missing))


def abort(record: Record) -> aborting.Aborted:
    """Abort the rollout."""
    return record.run(lambda c: aborting.abort(Transaction(c, record.context, "admin"), NIGHT))


def numbers(**parts: int) -> dict[str, int]:
    """Return the numbers of phones by part as the server shows them, with their sum."""
    return {"phones": sum(parts.values()), **{key: parts.get(key, 0) for key in KEYS}}


def at(seconds: float) -> str:
    """Return a time of the simulated clock in the form that administrators write."""
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


def problems(record: Record, **settings: Any) -> str:
    """Return the problems of a refused rollout."""
    with pytest.raises(InvalidRequestError) as refused:
        begin(record, **settings)
    return str(refused.value)


def members(record: Record) -> list[rollout_rows.MemberRow]:
    """Return the rollout's phones directly from the record."""
    return record.run(lambda c: rollout_rows.members(c, show.find(c, NIGHT).id))
