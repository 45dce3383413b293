# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of rollouts, their waves and their phones. Nothing here commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, select

from capf.model import CertificateState, DamagedError, Fault
from capf.store.schema import (
    RolloutRow,
    WaveRow,
    certificates,
    operations,
    phones,
    rollout_phones,
    rollout_waves,
    rollouts,
)
from capf.store.statements import Statement, batches, rows_of

_ADD_MEMBER = Statement(rollout_phones.insert())
# An id alone is not enough: SQLite reuses ids of removed rows, so it may be an operation of another phone.
ITS_OPERATION = and_(
    operations.c.id == rollout_phones.c.operation_id, operations.c.device_name == rollout_phones.c.device_name
)
_ITS_WAVE = and_(
    rollout_waves.c.rollout_id == rollout_phones.c.rollout_id, rollout_waves.c.number == rollout_phones.c.wave
)
_MEMBER = ("rollout_id", "device_name", "wave", "tries", "operation_id", "security_mode_after", "note", "turn")
_ROLLING = rollout_phones.c.turn > 0
STARTED_AT = case((_ROLLING, rollout_phones.c.admitted_at), else_=rollout_waves.c.started_at)
"""When a phone's turn began: with its wave, or with its own admission in a rolling rollout."""
JUDGED_AT = case((_ROLLING, rollout_phones.c.outcome_at), else_=rollout_waves.c.judged_at)
"""When a phone's turn was over: with the judgement of its wave, or with its own outcome in a rolling rollout."""
RUNNING, DONE, STOPPED, ABORTED = "running", "done", "stopped", "aborted"
COUNTED = ("phones", "in_flight", "done", "failed", "unreached", "skipped")
"""The numbers of phones that a wave keeps from its judgement; none of its phones waits at that time."""
NO_WAVE = 0
"""The wave of phones that the rollout leaves out, with the reason as their note."""
_BEGINNING = 0x63617066
"""The number of PostgreSQL's lock under which rollouts begin."""


def one_begins_at_a_time(connection: Connection) -> None:
    """Prevent other servers from beginning a rollout until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_BEGINNING)))


def by_id(connection: Connection, rollout_id: int) -> RolloutRow | None:
    """Return one rollout."""
    return _first(connection, select(rollouts).where(rollouts.c.id == rollout_id))


def latest(connection: Connection, name: str) -> RolloutRow | None:
    """Return the latest rollout of this name."""
    query = select(rollouts).where(rollouts.c.name == name).order_by(rollouts.c.id.desc()).limit(1)
    return _first(connection, query)


def _first(connection: Connection, query: Select[Any]) -> RolloutRow | None:
    row = connection.execute(query).first()
    return None if row is None else RolloutRow._make(row)


def every(connection: Connection) -> list[RolloutRow]:
    """Return all rollouts, latest first."""
    return rows_of(connection, RolloutRow._make, select(rollouts).order_by(rollouts.c.id.desc()))


class OtherRow(NamedTuple):
    """A phone of a running rollout."""

    id: int
    name: str
    ends_at: int | None
    device_name: str


def others(connection: Connection, names: Sequence[str]) -> list[OtherRow]:
    """Return the phones among ``names`` that a running rollout has in one of its waves."""
    found: list[OtherRow] = []
    for batch in batches(names):
        query = (
            select(rollouts.c.id, rollouts.c.name, rollouts.c.ends_at, rollout_phones.c.device_name)
            .join(rollout_phones, rollout_phones.c.rollout_id == rollouts.c.id)
            .where(rollouts.c.state == RUNNING, rollout_phones.c.wave != NO_WAVE)
            .where(rollout_phones.c.device_name.in_(batch))
        )
        found += rows_of(connection, OtherRow._make, query)
    return found


def add(connection: Connection, values: Mapping[str, Any], waves: Sequence[Mapping[str, Any]]) -> int:
    """Insert a rollout with its planned waves; return its id."""
    identifier = connection.execute(rollouts.insert().values(**values)).inserted_primary_key
    assert identifier is not None  # noqa: S101 - an insert of one row has its key
    number = int(identifier[0])
    if waves:
        connection.execute(rollout_waves.insert(), [{"rollout_id": number, **wave} for wave in waves])
    return number


def add_phones(connection: Connection, rollout_id: int, values: Iterable[Mapping[str, Any]]) -> None:
    """Insert the phones of a rollout."""
    rows = [{"rollout_id": rollout_id, **value} for value in values]
    if rows:
        _ADD_MEMBER.run_many(connection, rows)


def lead(connection: Connection, rollout: RolloutRow, **values: Any) -> bool:
    """Update a running rollout if the same run has led it since the time in this row (compare-and-swap).

    Return whether it was updated; if so, it is locked until the transaction ends.
    """
    as_seen = [rollouts.c[name] == getattr(rollout, name) for name in ("id", "runner", "seen_at")]
    query = rollouts.update().where(*as_seen, rollouts.c.state == RUNNING).values(**values)
    return connection.execute(query).rowcount == 1


def set_watched(connection: Connection, rollout_id: int, now: int) -> None:
    """Record the first time at which a run watched a rollout."""
    connection.execute(rollouts.update().where(rollouts.c.id == rollout_id).values(watched_at=now))


def end(connection: Connection, rollout_id: int, state: str, **values: Any) -> bool:
    """Move a running rollout to ``state`` (compare-and-swap); return whether it was running."""
    running = and_(rollouts.c.id == rollout_id, rollouts.c.state == RUNNING)
    return connection.execute(rollouts.update().where(running).values(state=state, **values)).rowcount == 1


def waves(connection: Connection, rollout_id: int) -> list[WaveRow]:
    """Return the waves in order."""
    query = select(rollout_waves).where(rollout_waves.c.rollout_id == rollout_id).order_by(rollout_waves.c.number)
    return rows_of(connection, WaveRow._make, query)


def add_wave(connection: Connection, rollout_id: int, **values: Any) -> None:
    """Insert one more wave."""
    connection.execute(rollout_waves.insert().values(rollout_id=rollout_id, **values))


def change_wave(connection: Connection, rollout_id: int, number: int, **values: Any) -> None:
    """Update a wave."""
    this = and_(rollout_waves.c.rollout_id == rollout_id, rollout_waves.c.number == number)
    connection.execute(rollout_waves.update().where(this).values(**values))


class MemberRow(NamedTuple):
    """A phone of a rollout with its operation, its settings, and the times between which it has its turn.

    The settings are None if the phone was removed, the operation's columns if it has had no operation, and the wave's
    columns while it waits for its wave.
    """

    rollout_id: int
    device_name: str
    wave: int
    tries: int
    operation_id: int | None
    security_mode_after: str
    note: str
    turn: int
    description: str | None
    device_pool: str | None
    site: str | None
    device_security_mode: str | None
    wanted_mode: str | None
    mic: bool | None
    state: str | None
    status: str | None
    problem: str | None
    holder: str | None
    authentication_mode: str | None
    refusals: int | None
    refused_at: int | None
    refused_from: str | None
    refused_as: str | None
    refused_because: str | None
    lost_sessions: int | None
    created_at: int | None
    ended_at: int | None
    started_at: int | None
    judged_at: int | None
    rollout_ended_at: int | None


def members(connection: Connection, rollout_id: int, wave: int | None = None) -> list[MemberRow]:
    """Return the phones of a rollout, or of one of its waves, each with its operation, site and wave's start."""
    query = _members(rollout_id)
    if wave is not None:
        query = query.where(rollout_phones.c.wave == wave)
    return rows_of(connection, MemberRow._make, query)


def of_wave(wave: WaveRow) -> ColumnElement[bool]:
    """Return the condition that this wave has scheduled the operation for its phone."""
    this = (rollout_phones.c.rollout_id == wave.rollout_id, rollout_phones.c.wave == wave.number)
    return exists().where(*this, ITS_OPERATION).correlate(operations)


def each_member(connection: Connection, rollout_id: int, site: str) -> Iterator[MemberRow]:
    """Yield what ``members`` returns, in constant memory."""
    yield from map(MemberRow._make, connection.execute(_members(rollout_id, site).execution_options(yield_per=1000)))


def _members(rollout_id: int, site: str = "device_pool") -> Select[Any]:
    columns = [
        *(rollout_phones.c[name] for name in _MEMBER),
        phones.c.description,
        phones.c.device_pool,
        phones.c[site].label("site"),
        phones.c.device_security_mode,
        phones.c.authentication_mode.label("wanted_mode"),
        phones.c.mic,
        operations.c.state,
        operations.c.status,
        operations.c.problem,
        operations.c.holder,
        operations.c.authentication_mode,
        operations.c.refusals,
        operations.c.refused_at,
        operations.c.refused_from,
        operations.c.refused_as,
        operations.c.refused_because,
        operations.c.lost_sessions,
        operations.c.created_at,
        operations.c.ended_at,
        STARTED_AT.label("started_at"),
        JUDGED_AT.label("judged_at"),
        rollouts.c.ended_at.label("rollout_ended_at"),
    ]
    return (
        select(*columns)
        .select_from(
            rollout_phones.join(rollouts, rollouts.c.id == rollout_phones.c.rollout_id)
            .outerjoin(operations, ITS_OPERATION)
            .outerjoin(phones, phones.c.device_name == rollout_phones.c.device_name)
            .outerjoin(rollout_waves, _ITS_WAVE)
        )
        .where(rollout_phones.c.rollout_id == rollout_id)
        .order_by(rollout_phones.c.wave, rollout_phones.c.device_name)
    )


def change_members(connection: Connection, rollout_id: int, names: Sequence[str], **values: Any) -> None:
    """Update phones of a rollout."""
    for batch in batches(names):
        this = and_(rollout_phones.c.rollout_id == rollout_id, rollout_phones.c.device_name.in_(batch))
        connection.execute(rollout_phones.update().where(this).values(**values))


def take_operations(connection: Connection, rollout_id: int, names: Sequence[str]) -> None:
    """Assign each phone's current operation to this rollout, count the try, and remove the note of an earlier try."""
    present = select(phones.c.operation_id).where(phones.c.device_name == rollout_phones.c.device_name)
    for batch in batches(names):
        this = and_(rollout_phones.c.rollout_id == rollout_id, rollout_phones.c.device_name.in_(batch))
        values = {"operation_id": present.scalar_subquery(), "tries": rollout_phones.c.tries + 1, "note": ""}
        connection.execute(rollout_phones.update().where(this).values(values))


def give_no_more_time(connection: Connection, rollout_id: int, now: int) -> None:
    """Set the deadline of the rollout's operations that are in a session to now, so that none of them begins again."""
    its = and_(rollout_phones.c.rollout_id == rollout_id, ITS_OPERATION)
    in_session = and_(operations.c.holder != "", operations.c.completes_by > now)
    query = operations.update().where(in_session, select(rollout_phones.c.device_name).where(its).exists())
    connection.execute(query.values(completes_by=now))


def sites_of(connection: Connection, names: Sequence[str], by: str) -> dict[str, str]:
    """Return the site of each registered phone among ``names``, from the column ``by``."""
    found: dict[str, str] = {}
    for batch in batches(names):
        query = select(phones.c.device_name, phones.c[by]).where(phones.c.device_name.in_(batch))
        found.update((name, site) for name, site in connection.execute(query))
    return found


def count_sites(connection: Connection, by: str) -> dict[str, int]:
    """Return the number of registered phones of each site; a site is a value of the column ``by``."""
    column = phones.c[by]
    query = select(column, func.count()).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def count_with_lsc(connection: Connection, rollout_id: int) -> int:
    """Return the number of a rollout's phones that have an active certificate."""
    its = and_(rollout_phones.c.rollout_id == rollout_id, rollout_phones.c.device_name == certificates.c.device_name)
    query = select(func.count()).select_from(certificates.join(rollout_phones, its))
    return connection.execute(query.where(certificates.c.state == CertificateState.ACTIVE)).scalar_one()


def sessions_open(connection: Connection) -> int:
    """Return the number of operations that are in a session now."""
    query = select(func.count()).select_from(operations).where(operations.c.holder != "")
    return connection.execute(query).scalar_one()


class AlikeRow(NamedTuple):
    """A group of phones of a rollout that have the same values in the columns that decide their part, with its size.

    The operation's columns are None if the phones have had none, the wave's columns if it has not begun.
    """

    id: int
    name: str
    rollout_ended_at: int | None
    state: str | None
    authentication_mode: str | None
    note: str
    started_at: int | None
    judged_at: int | None
    refusals: bool | None
    lost_sessions: bool | None
    holder: str
    number: int


def count_alike(connection: Connection, identifiers: Sequence[int]) -> list[AlikeRow]:
    """Return the phones of these rollouts as groups with the same values, each with its size (``number``)."""
    each = (
        select(
            rollouts.c.id,
            rollouts.c.name,
            rollouts.c.ended_at.label("rollout_ended_at"),
            operations.c.state,
            operations.c.authentication_mode,
            rollout_phones.c.note,
            STARTED_AT.label("started_at"),
            JUDGED_AT.label("judged_at"),
            (operations.c.refusals > 0).label("refusals"),
            (operations.c.lost_sessions > 0).label("lost_sessions"),
            case((operations.c.holder != "", "a session"), else_="").label("holder"),
        )
        .select_from(
            rollouts.join(rollout_phones, rollout_phones.c.rollout_id == rollouts.c.id)
            .outerjoin(operations, ITS_OPERATION)
            .outerjoin(rollout_waves, _ITS_WAVE)
        )
        .where(rollouts.c.id.in_(identifiers))
        .subquery()
    )
    query = select(*each.c, func.count().label("number")).group_by(*each.c)
    return rows_of(connection, AlikeRow._make, query)


def settings_of(rollout: RolloutRow) -> dict[str, Any]:
    """Return the original settings of a rollout; DamagedError if they cannot be read."""
    kept = _kept(rollout, "settings")
    if "spread_by" not in kept:
        raise _damaged(rollout, "settings")
    return kept


def skipped_of(rollout: RolloutRow) -> dict[str, int]:
    """Return the number of phones that were skipped at the beginning of a rollout, by reason; DamagedError if
    unreadable."""
    return _kept(rollout, "skipped")


def _kept(rollout: RolloutRow, column: str) -> dict[str, Any]:
    try:
        kept = json.loads(getattr(rollout, column))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise _damaged(rollout, column)
    return kept


def _damaged(rollout: RolloutRow, column: str) -> DamagedError:
    where = f"table rollouts, the row of rollout {rollout.name!r}"
    todo = "abort the rollout if it runs and begin it under another name, or restore a backup"
    return DamagedError(Fault(where, f"its {column} cannot be read", todo))
