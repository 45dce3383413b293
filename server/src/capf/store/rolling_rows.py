# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""All statements of the phones of a rolling rollout that wait, are in flight, or have an outcome. Nothing here commits.

A phone waits while it has not been admitted and nothing was noted of it; it is in flight until it has an outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, or_, select

from capf.model import AuthenticationMode, State
from capf.store.rollout_rows import ITS_OPERATION, RUNNING, change_members
from capf.store.schema import RolloutRow, operations, phones, rollout_phones, rollout_waves, rollouts
from capf.store.statements import batches, rows_of

ROLLING = "rolling"
_KEPT_DURATIONS = 1000
_THIS = rollout_phones.c
_WAITS = and_(_THIS.turn > 0, _THIS.admitted_at.is_(None), _THIS.note == "")
_FLIES = and_(_THIS.turn > 0, _THIS.admitted_at.is_not(None), _THIS.outcome == "")


class FlightRow(NamedTuple):
    """A phone in flight with its operation; the operation's columns are None if it has none."""

    device_name: str
    wave: int
    tries: int
    note: str
    security_mode_after: str
    admitted_at: int
    reset_begun_at: int | None
    restarted_at: int | None
    seen_at: int | None
    registered_at: int | None
    uncertain: bool
    site: str | None
    device_security_mode: str | None
    state: str | None
    holder: str | None
    authentication_mode: str | None
    refused_at: int | None
    lost_sessions: int | None
    ended_at: int | None


def running(connection: Connection) -> list[RolloutRow]:
    """Return the rolling rollouts that run."""
    query = select(rollouts).where(rollouts.c.state == RUNNING, rollouts.c.strategy == ROLLING).order_by(rollouts.c.id)
    return rows_of(connection, RolloutRow._make, query)


def lead(connection: Connection, rollout: RolloutRow, leader: str) -> bool:
    """Sign that this server leads a rollout, if nobody has since this row was read (compare-and-swap)."""
    as_seen = [rollouts.c[name] == getattr(rollout, name) for name in ("id", "leader", "leader_sign")]
    query = rollouts.update().where(*as_seen, rollouts.c.state == RUNNING)
    return connection.execute(query.values(leader=leader, leader_sign=rollout.leader_sign + 1)).rowcount == 1


def change(connection: Connection, rollout_id: int, **values: Any) -> None:
    """Update a rollout."""
    connection.execute(rollouts.update().where(rollouts.c.id == rollout_id).values(**values))


def in_flight(connection: Connection, rollout_id: int, by: str) -> list[FlightRow]:
    """Return the phones in flight in the order of their admission; ``by`` is the column with a phone's site."""
    names = FlightRow._fields
    own = [_THIS[name] for name in names[: names.index("site")]]
    settings = [phones.c[by].label("site"), phones.c.device_security_mode]
    carried = [operations.c[name] for name in names[names.index("state") :]]
    query = (
        select(*own, *settings, *carried)
        .select_from(
            rollout_phones.outerjoin(operations, ITS_OPERATION).outerjoin(
                phones, phones.c.device_name == _THIS.device_name
            )
        )
        .where(_THIS.rollout_id == rollout_id, _FLIES)
        .order_by(_THIS.turn)
    )
    return rows_of(connection, FlightRow._make, query)


class WaitingRow(NamedTuple):
    """A phone that waits for its admission."""

    device_name: str
    site: str | None
    expected_seconds: int
    by_string: bool


def waiting(
    connection: Connection, rollout_id: int, wave: int, by: str, *, by_string: bool, without: Collection[str] = ()
) -> Iterator[WaitingRow]:
    """Yield the waiting phones of a wave in the order of their turns: those that authenticate by string, or the others.

    ``without``: sites whose phones are left out.

    The statement reads only as many as the caller takes.
    """
    site = phones.c[by]
    query = (
        select(_THIS.device_name, site.label("site"), _THIS.expected_seconds, _THIS.by_string)
        .select_from(rollout_phones.outerjoin(phones, phones.c.device_name == _THIS.device_name))
        .where(_THIS.rollout_id == rollout_id, _THIS.wave == wave, _THIS.by_string == by_string, _WAITS)
        .order_by(_THIS.turn)
        .execution_options(yield_per=200)
    )
    if without:
        query = query.where(or_(site.is_(None), site.not_in(list(without))))
    with connection.execute(query) as result:
        yield from map(WaitingRow._make, result)


def count_waiting(connection: Connection, rollout_id: int) -> dict[int, int]:
    """Return the number of waiting phones by wave."""
    query = select(_THIS.wave, func.count()).where(_THIS.rollout_id == rollout_id, _WAITS).group_by(_THIS.wave)
    return {row[0]: row[1] for row in connection.execute(query)}


def _counted(rollout: RolloutRow) -> ColumnElement[bool]:
    """Return the condition that an outcome counts: a person who resumes a paused rollout has seen the earlier ones."""
    return and_(_THIS.rollout_id == rollout.id, _THIS.outcome != "", _THIS.outcome_at > rollout.counted_from)


def outcomes(connection: Connection, rollout: RolloutRow) -> dict[tuple[int, str], int]:
    """Return the number of outcomes that count, by wave and outcome."""
    query = select(_THIS.wave, _THIS.outcome, func.count()).where(_counted(rollout))
    return {(row[0], row[1]): row[2] for row in connection.execute(query.group_by(_THIS.wave, _THIS.outcome))}


def recent_outcomes(connection: Connection, rollout: RolloutRow, number: int) -> list[str]:
    """Return the last outcomes that count, the oldest first."""
    query = select(_THIS.outcome).where(_counted(rollout)).order_by(_THIS.outcome_at.desc(), _THIS.turn.desc())
    return [row[0] for row in connection.execute(query.limit(number))][::-1]


def refused_from(connection: Connection, rollout: RolloutRow, number: int) -> list[str]:
    """Return the addresses from which most failed phones were refused, the commonest first."""
    joined = rollout_phones.join(operations, ITS_OPERATION)
    query = (
        select(operations.c.refused_from)
        .select_from(joined)
        .where(_counted(rollout), _THIS.outcome == "failed", operations.c.refused_from != "")
        .group_by(operations.c.refused_from)
        .order_by(func.count().desc(), operations.c.refused_from)
        .limit(number)
    )
    return [row[0] for row in connection.execute(query)]


def count_resets(connection: Connection, rollout_id: int, since: int) -> int:
    """Return the number of phones whose reset ended after ``since``."""
    query = select(func.count()).where(_THIS.rollout_id == rollout_id, _THIS.restarted_at > since)
    return connection.execute(query).scalar_one()


def names_that(connection: Connection, rollout_id: int, *conditions: ColumnElement[bool]) -> list[str]:
    """Return the phones of a rollout that fulfil all conditions, in the order of their turns."""
    query = select(_THIS.device_name).where(_THIS.rollout_id == rollout_id, *conditions).order_by(_THIS.turn)
    return [row[0] for row in connection.execute(query)]


def to_reset(connection: Connection, rollout_id: int) -> list[str]:
    """Return the phones in flight whose reset has not begun."""
    return names_that(connection, rollout_id, _FLIES, _THIS.reset_begun_at.is_(None), _THIS.restarted_at.is_(None))


def owing_reset(connection: Connection, rollout_id: int) -> list[str]:
    """Return the phones that have to be reset because their Device Security Mode was changed."""
    return names_that(connection, rollout_id, _THIS.owes_reset)


def done_recently(connection: Connection, rollout_id: int, since: int) -> int:
    """Return the number of phones whose outcome since then is that they are done."""
    is_done = and_(_THIS.outcome == "done", _THIS.outcome_at > since)
    query = select(func.count()).where(_THIS.rollout_id == rollout_id, is_done)
    return connection.execute(query).scalar_one()


def wait_again(connection: Connection, rollout_id: int, names: Sequence[str], wave: int) -> None:
    """Let phones wait for another admission."""
    nothing = dict.fromkeys(("admitted_at", "reset_begun_at", "restarted_at", "seen_at", "registered_at"))
    change_members(connection, rollout_id, names, wave=wave, note="", outcome="", outcome_at=None, **nothing)


def tried(connection: Connection, rollout_id: int, names: Sequence[str]) -> list[str]:
    """Return those of the phones that the rollout has tried before."""
    return [
        name
        for batch in batches(names)
        for name in names_that(connection, rollout_id, _THIS.tries > 0, _THIS.device_name.in_(batch))
    ]


def given_strings(connection: Connection, rollout_id: int, names: Sequence[str]) -> dict[str, bytes]:
    """Return the encrypted authentication strings that the rollout keeps for phones that wait."""
    found: dict[str, bytes] = {}
    for batch in batches(names):
        query = select(_THIS.device_name, _THIS.given_string).where(
            _THIS.rollout_id == rollout_id, _THIS.device_name.in_(batch), _THIS.given_string.is_not(None)
        )
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def start_waves(connection: Connection, rollout_id: int, now: int) -> None:
    """Record the start of each wave with an admitted phone."""
    admitted = select(_THIS.wave).where(_THIS.rollout_id == rollout_id, _THIS.admitted_at.is_not(None))
    this = and_(rollout_waves.c.rollout_id == rollout_id, rollout_waves.c.started_at.is_(None))
    connection.execute(rollout_waves.update().where(this, rollout_waves.c.number.in_(admitted)).values(started_at=now))


def note_change(connection: Connection, rollout_id: int) -> None:
    """Count a change of the rollout, so that the run that watches it looks again."""
    query = rollouts.update().where(rollouts.c.id == rollout_id)
    connection.execute(query.values(changes=rollouts.c.changes + 1))


def durations(connection: Connection) -> dict[str, list[int]]:
    """Return the seconds from admission to LSC of the phones that rolling rollouts had, by device type.

    Of each type, those of at most the last thousand phones. Phones by authentication string waited for a person, so
    they are not among them.
    """
    found: dict[str, list[int]] = {}
    query = (
        select(phones.c.device_type, operations.c.ended_at - _THIS.admitted_at)
        .select_from(
            rollout_phones.join(operations, ITS_OPERATION).join(phones, phones.c.device_name == _THIS.device_name)
        )
        .where(operations.c.state == State.DONE, operations.c.authentication_mode != AuthenticationMode.STRING)
        .where(_THIS.admitted_at.is_not(None), _THIS.tries == 1)
        .order_by(_THIS.rollout_id.desc(), _THIS.turn.desc())
    )
    for device_type, taken in connection.execute(query):
        kept = found.setdefault(device_type, [])
        if len(kept) < _KEPT_DURATIONS:
            kept.append(taken)
    return found


def count_waiting_for_string(connection: Connection, rollout_id: int) -> int:
    """Return the number of phones in flight for which a person has yet to enter the authentication string."""
    by_string = and_(operations.c.authentication_mode == AuthenticationMode.STRING, operations.c.state == State.PENDING)
    query = select(func.count()).select_from(rollout_phones.join(operations, ITS_OPERATION))
    return connection.execute(query.where(_THIS.rollout_id == rollout_id, _FLIES, by_string)).scalar_one()


def mark_seen(connection: Connection, rollout_id: int, seen: Mapping[str, int]) -> None:
    """Record when phones in flight were first seen since their restart; ``seen``: the time by device name."""
    for batch in batches(list(seen)):
        is_reset = or_(_THIS.reset_begun_at.is_not(None), _THIS.restarted_at.is_not(None))
        since = and_(_THIS.rollout_id == rollout_id, _FLIES, _THIS.seen_at.is_(None), is_reset)
        for name in names_that(connection, rollout_id, since, _THIS.device_name.in_(batch)):
            change_members(connection, rollout_id, [name], seen_at=seen[name])


def awaiting_registration(connection: Connection, rollout_id: int) -> list[str]:
    """Return the phones in flight that have their LSC and are not known to be registered."""
    query = (
        select(_THIS.device_name)
        .select_from(rollout_phones.join(operations, ITS_OPERATION))
        .where(_THIS.rollout_id == rollout_id, _FLIES, _THIS.registered_at.is_(None))
        .where(operations.c.state == State.DONE)
        .order_by(_THIS.turn)
    )
    return [row[0] for row in connection.execute(query)]


def interrupted_resets(connection: Connection, rollout_id: int) -> list[str]:
    """Return the phones in flight whose reset has begun and not ended."""
    return names_that(connection, rollout_id, _FLIES, _THIS.reset_begun_at.is_not(None), _THIS.restarted_at.is_(None))


class TypeRow(NamedTuple):
    """The phones of one device type in a rollout, without those by authentication string.

    ``waiting`` and ``done`` are numbers; ``seconds`` is the sum of the times that those that are done took from their
    admission, and ``longest`` the time that each may take.
    """

    device_type: str
    waiting: int
    done: int
    seconds: float
    longest: float


def by_type(connection: Connection, rollout_id: int) -> list[TypeRow]:
    """Return a rollout's phones by device type."""
    is_done = _THIS.outcome == "done"
    query = (
        select(
            phones.c.device_type,
            func.sum(case((_WAITS, 1), else_=0)),
            func.sum(case((is_done, 1), else_=0)),
            func.sum(case((is_done, _THIS.outcome_at - _THIS.admitted_at), else_=0)),
            func.max(_THIS.expected_seconds),
        )
        .select_from(rollout_phones.join(phones, phones.c.device_name == _THIS.device_name))
        .where(_THIS.rollout_id == rollout_id, _THIS.turn > 0, _THIS.by_string == false())
        .group_by(phones.c.device_type)
    )
    return [
        TypeRow(row[0], int(row[1]), int(row[2]), float(row[3]), float(row[4])) for row in connection.execute(query)
    ]


def running_by_type(connection: Connection, rollout_id: int) -> list[tuple[str, int]]:
    """Return the device type and the admission of each phone in flight, without those by authentication string."""
    joined = rollout_phones.join(phones, phones.c.device_name == _THIS.device_name)
    query = select(phones.c.device_type, _THIS.admitted_at).select_from(joined)
    found = connection.execute(query.where(_THIS.rollout_id == rollout_id, _FLIES, _THIS.by_string == false()))
    return [(row[0], row[1]) for row in found]
