# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statement that finds phones by conditions, all of which must hold, in an order, with the fields to show (R29)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, select

from capf.model import LSC_INSTALLED, LSC_NOT_INSTALLED, STATUS_NONE, CertificateState, Operation
from capf.store import rollout_rows
from capf.store.rows import OPEN
from capf.store.schema import WaveRow, certificates, operations, phones

REFUSAL_SEPARATOR = ": "
"""Separates the status of the last refusal from its problem."""
_WHY = operations.c.refused_because
_LAST_REFUSAL = func.coalesce(operations.c.refused_as + case((_WHY == "", ""), else_=REFUSAL_SEPARATOR + _WHY), "")
_IS_OPEN = operations.c.state.in_(OPEN)
_COMPUTED: Mapping[str, ColumnElement[Any]] = {
    "certificate_operation": case((_IS_OPEN, operations.c.operation), else_=Operation.NONE.value),
    "operation_completes_by": case((_IS_OPEN, operations.c.completes_by)),
    "lsc_status": func.coalesce(operations.c.status, STATUS_NONE),
    "last_problem": func.coalesce(operations.c.problem, ""),
    "last_refusal": _LAST_REFUSAL,
    "refused_from": func.coalesce(operations.c.refused_from, ""),
    "refused_at": operations.c.refused_at,
    "lsc": case((certificates.c.serial_number.is_(None), LSC_NOT_INSTALLED), else_=LSC_INSTALLED),
    "lsc_expires": certificates.c.not_after,
    "lsc_issued_by": func.coalesce(certificates.c.issuer, ""),
    "lsc_issuer_expires_by": certificates.c.issuer_not_after,
}
"""The fields that are not columns of the phone, as the database computes them."""
_SECRET = operations.c.authentication_string
_ACTIVE = and_(certificates.c.device_name == phones.c.device_name, certificates.c.state == CertificateState.ACTIVE)
_FROM = phones.outerjoin(operations, operations.c.id == phones.c.operation_id).outerjoin(certificates, _ACTIVE)


class TextCondition(NamedTuple):
    """Compares a field's text with another; only ``is exactly`` is case-sensitive."""

    field: str
    pattern: str
    value: str


class MomentCondition(NamedTuple):
    """Compares a field's time with a day that begins at ``start`` and ends before ``end`` (epoch seconds)."""

    field: str
    pattern: str
    start: int
    end: int


class StringCondition(NamedTuple):
    """Whether the latest operation has an authentication string; the database only contains it encrypted."""

    exists: bool


Condition = TextCondition | MomentCondition | StringCondition


class Order(NamedTuple):
    """The field by which phones are sorted, and then by name."""

    field: str
    descending: bool = False


class FoundRow(NamedTuple):
    """A phone that was found; the fields of its latest operation and active certificate are None if it has none.

    ``phone``: its device name and the requested fields, in their order.
    """

    phone: Sequence[Any]
    operation: str | None
    authentication_mode: str | None
    authentication_string: bytes | None
    state: str | None
    completes_by: int | None
    status: str | None
    problem: str | None
    refusals: int | None
    refused_at: int | None
    refused_from: str | None
    refused_as: str | None
    refused_because: str | None
    serial_number: str | None
    ec: bool | None
    bits: int | None
    not_after: int | None
    issuer: str | None
    issuer_not_after: int | None

    @property
    def device_name(self) -> str:
        """The phone's name."""
        return str(self.phone[0])


_SHOWN = [(operations if name in operations.c else certificates).c[name] for name in FoundRow._fields[1:]]


def _column(field: str) -> ColumnElement[Any]:
    return _COMPUTED[field] if field in _COMPUTED else phones.c[field]


def _holds(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case StringCondition(exists):
            return _SECRET.is_not(None) if exists else _SECRET.is_(None)
        case TextCondition(field, pattern, value):
            return _text_holds(_column(field), pattern, value)
        case MomentCondition(field, pattern, start, end):
            return _moment_holds(_column(field), pattern, start, end)


def _text_holds(column: ColumnElement[Any], pattern: str, value: str) -> ColumnElement[bool]:
    conditions: dict[str, ColumnElement[bool]] = {
        "begins with": column.istartswith(value, autoescape=True),
        "contains": column.icontains(value, autoescape=True),
        "ends with": column.iendswith(value, autoescape=True),
        "is exactly": column == value,
        "is empty": column == "",
        "is not empty": column != "",
    }
    return conditions[pattern]


def _moment_holds(column: ColumnElement[Any], pattern: str, start: int, end: int) -> ColumnElement[bool]:
    conditions: dict[str, ColumnElement[bool]] = {
        "is before": column < start,
        "is exactly": and_(column >= start, column < end),
        "is after": column >= end,
        "is empty": column.is_(None),
        "is not empty": column.is_not(None),
    }
    return conditions[pattern]


def _query(
    fields: Sequence[str], conditions: Sequence[Condition], order: Order, wave: WaveRow | None = None
) -> Select[Any]:
    columns = [phones.c.device_name, *(phones.c[name] for name in fields), *_SHOWN]
    query = select(*columns).select_from(_FROM).where(*map(_holds, conditions))
    if wave is not None:
        query = query.where(rollout_rows.of_wave(wave))
    column = _column(order.field)
    return query.order_by(column.desc() if order.descending else column.asc(), phones.c.device_name)


def each(
    connection: Connection,
    fields: Sequence[str],
    conditions: Sequence[Condition],
    order: Order,
    wave: WaveRow | None = None,
) -> Iterator[FoundRow]:
    """Yield every phone for which the conditions hold, in constant memory.

    With a ``wave``, only the phones whose current operation was scheduled by that wave.
    """
    query = _query(fields, conditions, order, wave).execution_options(yield_per=1000)
    return (_found(values, 1 + len(fields)) for values in connection.execute(query))


def page(
    connection: Connection, fields: Sequence[str], conditions: Sequence[Condition], order: Order, part: slice
) -> list[FoundRow]:
    """Return a page of what ``each`` yields."""
    query = _query(fields, conditions, order).slice(part.start, part.stop)
    return [_found(values, 1 + len(fields)) for values in connection.execute(query)]


def _found(values: Row[Any], fields: int) -> FoundRow:
    return FoundRow(values[:fields], *values[fields:])


def count(connection: Connection, conditions: Sequence[Condition]) -> int:
    """Return the number of phones for which the conditions hold."""
    query = select(func.count()).select_from(_FROM).where(*map(_holds, conditions))
    return connection.execute(query).scalar_one()
