# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of the tables of phones and operations, in bulk where the caller has many.

Every function takes the caller's Connection; nothing here commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, or_, select
from sqlalchemy import delete as delete_from

from capf.model import CertificateState, Operation, State
from capf.store.schema import IS_OPEN, OperationRow, PhoneRow, certificates, operations, phones
from capf.store.statements import BATCH, Query, Statement, batches, rows_of

OPEN = tuple(state for state in State if not state.ended)

_THIS_PHONE = phones.c.device_name == bindparam("name")
_THIS_OPERATION = operations.c.id == bindparam("identifier")


class Claimant(NamedTuple):
    """The data that decides a phone's claim: whether it has a MIC, and its latest operation, if any."""

    mic: bool
    operation: OperationRow | None


def _claimant(values: Sequence[Any]) -> Claimant:
    return Claimant(values[0], None if values[1] is None else OperationRow._make(values[1:]))


def _in_state(*states: State) -> ColumnElement[bool]:
    return or_(*(operations.c.state == state.value for state in states))


_FIELDS = tuple(phones.c.keys())
_PHONE = [phones.c[name] for name in PhoneRow._fields]
# The statements of a session; the functions that run them describe them.
_CLAIMANT = Query(
    _claimant,
    select(phones.c.mic, *operations.c)
    .outerjoin_from(phones, operations, phones.c.operation_id == operations.c.id)
    .where(_THIS_PHONE),
)
_ADD_PHONE = Statement(phones.insert())
_CHANGE_PHONE = Statement(phones.update().where(_THIS_PHONE))
_OPERATION = Query(OperationRow._make, select(operations).where(_THIS_OPERATION).with_for_update())
_ADD_OPERATION = Statement(operations.insert())
_CHANGE_OPERATION = Statement(operations.update().where(_THIS_OPERATION))
_THIS_CLAIM = operations.c.claims == bindparam("claim")
_TAKE = (
    operations.update()
    .where(_THIS_OPERATION, operations.c.claims == bindparam("before"), _in_state(*OPEN))
    .values(state=case((_in_state(State.ISSUED), State.ISSUED.value), else_=State.CLAIMED.value))
)
_HOLD = Statement(_TAKE.where(operations.c.holder == ""))
_SHARE = Statement(_TAKE)
_GIVE_BACK = Statement(
    operations.update()
    .where(_THIS_OPERATION, _THIS_CLAIM, operations.c.holder == bindparam("mine"), _in_state(*OPEN))
    .values(state=case((_in_state(State.ISSUED), State.ISSUED.value), else_=State.PENDING.value))
)
_END_UNATTENDED = Statement(operations.update().where(_THIS_OPERATION, operations.c.holder == "", _in_state(*OPEN)))


@cache
def _move(before: tuple[State, ...]) -> Statement:
    return Statement(operations.update().where(_THIS_OPERATION, _in_state(*before)))


def claimant(connection: Connection, device_name: str) -> Claimant | None:
    """Return the data that decides a phone's claim, None if the phone is not registered with the server."""
    return _CLAIMANT.first(connection, {"name": device_name})


_SOFTPHONES = or_(*(phones.c.device_name.between(kind, f"{kind}~") for kind in ("BOT", "CSF", "TAB", "TCT")))


def softphones(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return the registered softphones with one of these names in any case, by their names in lower case."""
    wanted = [name.casefold() for name in names if name[:3].upper() in ("BOT", "CSF", "TAB", "TCT")]
    found: dict[str, str] = {}
    for batch in batches(wanted):
        query = select(phones.c.device_name).where(_SOFTPHONES, func.lower(phones.c.device_name).in_(batch))
        found.update((name.casefold(), name) for name in connection.execute(query).scalars())
    return found


def phones_of(connection: Connection, names: Sequence[str]) -> dict[str, PhoneRow]:
    """Return the registered phones among ``names``."""
    found: dict[str, PhoneRow] = {}
    for batch in batches(names):
        query = select(*_PHONE).where(phones.c.device_name.in_(batch))
        found.update((row.device_name, row) for row in rows_of(connection, PhoneRow._make, query))
    return found


def fields_of(connection: Connection, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return all fields of each registered phone among ``names``, by field name."""
    found: dict[str, Mapping[str, Any]] = {}
    for batch in batches(names):
        query = select(phones).where(phones.c.device_name.in_(batch))
        given = rows_of(connection, lambda row: dict(zip(_FIELDS, row, strict=True)), query)
        found.update((fields["device_name"], fields) for fields in given)
    return found


def phone_names(connection: Connection) -> list[str]:
    """Return the device names of all phones."""
    return list(connection.execute(select(phones.c.device_name).order_by(phones.c.device_name)).scalars())


def add_phones(connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert phones; all mappings have the same keys."""
    if values:
        _ADD_PHONE.run_many(connection, values)


def change_phone(connection: Connection, device_name: str, **values: Any) -> None:
    """Update one phone."""
    _CHANGE_PHONE.run(connection, {"name": device_name, **values})


def change_phones(connection: Connection, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Update many phones, each with different values, without one round trip per phone."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for device_name, values in changes.items():
        alike.setdefault(tuple(sorted(values)), []).append({"name": device_name, **values})
    for given in alike.values():
        _CHANGE_PHONE.run_many(connection, given)


def remove_phones(connection: Connection, names: Sequence[str]) -> None:
    """Delete phones and their operations, but keep their certificates."""
    for batch in batches(names):
        connection.execute(delete_from(phones).where(phones.c.device_name.in_(batch)))


def operation(connection: Connection, operation_id: int) -> OperationRow | None:
    """Return one operation, locked until the caller's transaction ends."""
    return _OPERATION.first(connection, {"identifier": operation_id})


def operations_of(connection: Connection, names: Sequence[str]) -> dict[str, OperationRow]:
    """Return the latest operation of each phone among ``names`` that has had one."""
    found: dict[str, OperationRow] = {}
    for batch in batches(names):
        query = (
            select(operations)
            .join(phones, phones.c.operation_id == operations.c.id)
            .where(phones.c.device_name.in_(batch))
        )
        found.update((row.device_name, row) for row in rows_of(connection, OperationRow._make, query))
    return found


class ChecklistRow(NamedTuple):
    """The fields of a phone that the checklist reads; ``lsc_expires`` is None if it has no LSC."""

    device_name: str
    authentication_mode: str
    device_security_mode: str
    lsc_expires: int | None


def for_checklist(connection: Connection, names: Sequence[str] | None) -> list[ChecklistRow]:
    """Return the registered phones among ``names``, or all phones, sorted by name."""
    active = and_(certificates.c.device_name == phones.c.device_name, certificates.c.state == CertificateState.ACTIVE)
    query = (
        select(*(phones.c[name] for name in ChecklistRow._fields[:3]), certificates.c.not_after)
        .select_from(phones.outerjoin(certificates, active))
        .order_by(phones.c.device_name)
    )
    wanted = None if names is None else set(names)
    found = rows_of(connection, ChecklistRow._make, query)
    return [row for row in found if wanted is None or row.device_name in wanted]


class ProgressRow(NamedTuple):
    """A phone and the progress of its latest operation; all but the name is None if it never had one."""

    device_name: str
    state: str | None
    status: str | None
    problem: str | None
    refusals: int | None
    refused_at: int | None
    refused_from: str | None
    refused_as: str | None
    refused_because: str | None


def progress_of(connection: Connection, names: Sequence[str]) -> dict[str, ProgressRow]:
    """Return state, status, problem and refusals of the latest operation of each registered phone among ``names``."""
    found: dict[str, ProgressRow] = {}
    for batch in batches(names):
        query = (
            select(phones.c.device_name, *(operations.c[name] for name in ProgressRow._fields[1:]))
            .outerjoin(operations, phones.c.operation_id == operations.c.id)
            .where(phones.c.device_name.in_(batch))
        )
        found.update((row.device_name, row) for row in rows_of(connection, ProgressRow._make, query))
    return found


def last_confirmed(connection: Connection, device_name: str) -> int:
    """Return the latest operation after which a phone confirmed that it has stored or deleted its LSC, 0 if none."""
    query = select(func.max(operations.c.id)).where(
        operations.c.device_name == device_name,
        operations.c.state == State.DONE,
        operations.c.operation.in_((Operation.INSTALL, Operation.DELETE)),
    )
    return connection.execute(query).scalar_one() or 0


class NewOperation(NamedTuple):
    """An operation that nobody has claimed yet; the other columns have their defaults."""

    device_name: str
    operation: str
    authentication_mode: str
    key_order: str
    key_size: int
    ec_key_size: int
    authentication_string: bytes | None
    completes_by: int
    state: str
    status: str
    created_at: int


def add_operations(connection: Connection, values: Sequence[NewOperation]) -> None:
    """Insert operations and make each of them the latest operation of its phone."""
    if not values:
        return
    _ADD_OPERATION.run_many(connection, [value._asdict() for value in values])
    latest = select(func.max(operations.c.id)).where(operations.c.device_name == phones.c.device_name)
    for batch in batches([value.device_name for value in values]):
        query = phones.update().where(phones.c.device_name.in_(batch))
        connection.execute(query.values(operation_id=latest.scalar_subquery()))


def change_operation(connection: Connection, operation_id: int, **values: Any) -> None:
    """Update an operation without changing its state."""
    _CHANGE_OPERATION.run(connection, {"identifier": operation_id, **values})


def move(connection: Connection, operation_id: int, before: Iterable[State], after: State, **values: Any) -> bool:
    """Move an operation to ``after`` if it is in one of ``before`` (compare-and-swap); return whether it was."""
    given = {"identifier": operation_id, "state": after.value, **values}
    return _move(tuple(before)).run(connection, given) == 1


def cancel_operations(connection: Connection, identifiers: Sequence[int], values: Mapping[str, Any]) -> None:
    """Cancel the operations that are still open."""
    for batch in batches(identifiers):
        query = operations.update().where(operations.c.id.in_(batch), operations.c.state.in_(OPEN))
        connection.execute(query.values(state=State.CANCELLED, authentication_string=None, holder="", **values))


def hold(connection: Connection, operation_id: int, holder: str, claims: int, *, alone: bool, **values: Any) -> bool:
    """Claim an open operation for a session if it was claimed ``claims`` times so far (compare-and-swap).

    Return whether it was claimed. ``alone``: only if no other session has it. A pending operation becomes claimed; an
    issued one, which a phone continues by a retry, stays issued.
    """
    given = {"identifier": operation_id, "before": claims, "holder": holder, "claims": claims + 1, **values}
    return (_HOLD if alone else _SHARE).run(connection, given) == 1


def give_back(connection: Connection, operation_id: int, claim: int, holder: str, **values: Any) -> bool:
    """Release an open operation that a server holds for the session of this claim; return whether it did.

    A claimed operation becomes pending again; an issued one stays issued.
    """
    given = {"identifier": operation_id, "claim": claim, "mine": holder, "holder": "", **values}
    return _GIVE_BACK.run(connection, given) == 1


def release(connection: Connection, holder: str) -> int:
    """Release all operations that a server held; return their number."""
    mine = operations.c.holder == holder
    claimed = operations.update().where(mine, operations.c.state == State.CLAIMED)
    connection.execute(claimed.values(state=State.PENDING))
    return connection.execute(operations.update().where(mine).values(holder="")).rowcount


def due_operations(connection: Connection, now: int, limit: int) -> list[OperationRow]:
    """Return the first open operations that are in no session and whose deadline has passed."""
    query = select(operations).where(IS_OPEN, operations.c.completes_by <= now, operations.c.holder == "")
    return rows_of(connection, OperationRow._make, query.order_by(operations.c.completes_by).limit(limit))


def refused_operations(connection: Connection, identifiers: Sequence[int]) -> list[OperationRow]:
    """Return the operations among these that are open, in no session, and were refused."""
    found: list[OperationRow] = []
    for batch in batches(identifiers):
        query = select(operations).where(
            operations.c.id.in_(batch), IS_OPEN, operations.c.refusals > 0, operations.c.holder == ""
        )
        found += rows_of(connection, OperationRow._make, query)
    return found


def end_unattended(connection: Connection, operation_id: int, **values: Any) -> bool:
    """End an open operation that is in no session as failed and erase its string (compare-and-swap); return success."""
    given = {"identifier": operation_id, "state": State.FAILED.value, "authentication_string": None, **values}
    return _END_UNATTENDED.run(connection, given) == 1


def holders(connection: Connection) -> list[str]:
    """Return the names of the servers that hold operations now."""
    query = select(operations.c.holder).where(operations.c.state.in_(OPEN), operations.c.holder != "")
    return list(connection.execute(query.distinct().order_by(operations.c.holder)).scalars())


def count_phones(connection: Connection) -> int:
    """Return the number of phones."""
    return connection.execute(select(func.count()).select_from(phones)).scalar_one()


def count_statuses(connection: Connection) -> dict[str, int]:
    """Return the number of phones by the status of their latest operation."""
    query = (
        select(operations.c.status, func.count().label("number"))
        .join(phones, phones.c.operation_id == operations.c.id)
        .group_by(operations.c.status)
        .order_by(operations.c.status)
    )
    return {row.status: row.number for row in connection.execute(query)}


def stored_strings(connection: Connection, latest: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield device name and encrypted authentication string of the ``latest`` operations that have one, or of all."""
    wanted = select(operations.c.device_name, operations.c.authentication_string)
    wanted = wanted.where(operations.c.authentication_string.is_not(None))
    order = operations.c.id if latest is None else operations.c.id.desc()
    wanted = wanted.order_by(order).limit(latest)
    for row in connection.execute(wanted.execution_options(yield_per=BATCH)):
        yield row.device_name, row.authentication_string
