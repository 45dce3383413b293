"""Finding phones by several criteria that must all match, sorted and paged (R29)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select

from capf.model import STATUS_NONE, CertificateState, InvalidRequestError, KeySpec, Operation, not_allowed
from capf.registry import guessing, moment, refusals
from capf.registry.context import Context
from capf.registry.phone_fields import DATE_PATTERNS, NAME, TEXT_PATTERNS, Kind, names, searchable, settings
from capf.registry.transaction import Transaction
from capf.store import rollouts
from capf.store.rows import OPEN
from capf.store.schema import WaveRow, certificates, operations, phones

INSTALLED, NOT_INSTALLED = "Installed", "Not Installed"
_NO_OPERATION = Operation.NONE.value
_STATUS = func.coalesce(operations.c.status, STATUS_NONE)
_WHY = operations.c.refused_because
_LAST_REFUSAL = func.coalesce(
    operations.c.refused_as + case((_WHY == "", ""), else_=refusals.SEPARATOR + _WHY), ""
)  # fmt: skip
_COMPUTED: Mapping[str, ColumnElement[Any]] = {
    "certificate_operation": case((operations.c.state.in_(OPEN), operations.c.operation), else_=_NO_OPERATION),
    "operation_completes_by": case((operations.c.state.in_(OPEN), operations.c.completes_by)),
    "lsc_status": _STATUS,
    "last_problem": func.coalesce(operations.c.problem, ""),
    "last_refusal": _LAST_REFUSAL,
    "refused_from": func.coalesce(operations.c.refused_from, ""),
    "refused_at": operations.c.refused_at,
    "lsc": case((certificates.c.serial_number.is_(None), NOT_INSTALLED), else_=INSTALLED),
    "lsc_expires": certificates.c.not_after,
    "lsc_issued_by": func.coalesce(certificates.c.issuer, ""),
    "lsc_issuer_expires_by": certificates.c.issuer_not_after,
}
"""The fields that are not kept with the phone, as the database computes them."""


def _columns(kind: Kind) -> dict[str, ColumnElement[Any]]:
    """Return what the database compares for the searchable fields of a kind."""
    return {name: _COMPUTED[name] if name in _COMPUTED else phones.c[name] for name in searchable(kind)}


TEXT_FIELDS: Mapping[str, ColumnElement[Any]] = _columns(Kind.TEXT)
DATE_FIELDS: Mapping[str, ColumnElement[Any]] = _columns(Kind.MOMENT)
STRING_FIELD = "authentication_string"
UNREADABLE_STRING = "(cannot be read: schedule the operation again)"
FIELDS = (*TEXT_FIELDS, STRING_FIELD, *DATE_FIELDS)
_SECRET = operations.c.authentication_string
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "begins with": lambda text, part: text.startswith(part),
    "contains": lambda text, part: part in text,
    "ends with": lambda text, part: text.endswith(part),
    "is exactly": lambda text, part: text == part,
}
_SECONDS_A_DAY = 86400


@dataclass(frozen=True, slots=True)
class Criterion:
    """One search criterion."""

    field: str
    pattern: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the found phones, in which order."""

    sort: str = "device_name"
    descending: bool = False
    number: int = 1
    rows: int = 50


def check(criteria: Sequence[Criterion], sort: str) -> None:
    """Raise InvalidRequestError for unknown fields, patterns that do not fit, and unreadable dates."""
    problems = []
    for index, criterion in enumerate(criteria):
        where = f"criteria[{index}]"
        patterns = DATE_PATTERNS if criterion.field in DATE_FIELDS else TEXT_PATTERNS
        if criterion.field not in FIELDS:
            problems.append(not_allowed(f"{where}.field", criterion.field, FIELDS))
        elif criterion.pattern not in patterns:
            problems.append(not_allowed(f"{where}.pattern", criterion.pattern, patterns))
        elif criterion.field in DATE_FIELDS and "empty" not in criterion.pattern and _date(criterion.value) is None:
            problems.append(not_allowed(f"{where}.value", criterion.value, "a date such as 2030-01-31"))
    if sort not in {**TEXT_FIELDS, **DATE_FIELDS}:
        problems.append(not_allowed("sort", sort, (*TEXT_FIELDS, *DATE_FIELDS)))
    if problems:
        raise InvalidRequestError(problems)


def _date(text: str, days: int = 0) -> int | None:
    """Return when a day begins, or one so many ``days`` later: in the first node's time not every day has 24 hours."""
    try:
        return int((datetime.fromisoformat(text) + timedelta(days=days)).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _condition(criterion: Criterion) -> ColumnElement[bool]:
    if criterion.field == STRING_FIELD:
        return _SECRET.is_(None) if criterion.pattern == "is empty" else _SECRET.is_not(None)
    if criterion.field in DATE_FIELDS:
        return _date_condition(DATE_FIELDS[criterion.field], criterion)
    column, value = TEXT_FIELDS[criterion.field], criterion.value
    conditions: dict[str, ColumnElement[bool]] = {
        "begins with": column.istartswith(value, autoescape=True),
        "contains": column.icontains(value, autoescape=True),
        "ends with": column.iendswith(value, autoescape=True),
        "is exactly": column == value,
        "is empty": column == "",
        "is not empty": column != "",
    }
    return conditions[criterion.pattern]


def _date_condition(column: ColumnElement[Any], criterion: Criterion) -> ColumnElement[bool]:
    if criterion.pattern == "is empty":
        return column.is_(None)
    if criterion.pattern == "is not empty":
        return column.is_not(None)
    start = _date(criterion.value) or 0
    end = _date(criterion.value, days=1) or start + _SECONDS_A_DAY
    if criterion.pattern == "is before":
        return column < start
    if criterion.pattern == "is after":
        return column >= end
    return and_(column >= start, column < end)


_PHONE = (NAME, *names(settings()))
_SHOWN = (
    *(phones.c[name] for name in _PHONE),
    *(
        operations.c[name].label(f"operation_{name}")
        for name in ("operation", "authentication_mode", "authentication_string", "state", "completes_by", "status",
                     "problem", "refusals", "refused_at", "refused_from", "refused_as", "refused_because")
    ),
    *(
        certificates.c[name].label(f"certificate_{name}")
        for name in ("serial_number", "ec", "bits", "not_after", "issuer", "issuer_not_after")
    ),
)  # fmt: skip
"""What is shown of the phone, of its latest operation and of its active certificate, labelled apart."""
_OF_LSC = next(at for at, column in enumerate(_SHOWN) if column.key == "certificate_serial_number")
_SECRET_AT = next(at for at, column in enumerate(_SHOWN) if column.key == "operation_authentication_string")
_OPEN = frozenset(OPEN)
_Values = Sequence[Any]


def _query(criteria: Sequence[Criterion], wave: WaveRow | None = None) -> Select[Any]:
    active = and_(certificates.c.device_name == phones.c.device_name, certificates.c.state == CertificateState.ACTIVE)
    query = select(*_SHOWN).select_from(
        phones.outerjoin(operations, operations.c.id == phones.c.operation_id).outerjoin(certificates, active)
    )
    query = query.where(*map(_condition, criteria))
    return query if wave is None else query.where(rollouts.of_wave(wave))


def _tests(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Return the criteria that need the string itself, which the database only has encrypted."""
    return [item for item in criteria if item.field == STRING_FIELD and "empty" not in item.pattern]


def _ordered(criteria: Sequence[Criterion], page: Page, wave: WaveRow | None = None) -> Select[Any]:
    order = {**TEXT_FIELDS, **DATE_FIELDS}[page.sort]
    return _query(criteria, wave).order_by(order.desc() if page.descending else order.asc(), phones.c.device_name)


def found(
    tx: Transaction, criteria: Sequence[Criterion], page: Page, *, strings: bool, wave: WaveRow | None = None
) -> Iterator[dict[str, Any]]:
    """Yield every phone that matches, in order; ``strings`` adds the authentication strings.

    With a ``wave``, only phones match whose present operation is the one that the wave has scheduled for them.
    """
    check(criteria, page.sort)
    tests, locks = _tests(criteria), guessing.locks(tx)
    for values in tx.connection.execute(_ordered(criteria, page, wave).execution_options(yield_per=1000)):
        string = _string(tx.context, values) if strings or tests else ""
        if all(_TESTS[test.pattern](string, test.value) for test in tests):
            yield _show(values, locks.get(values[0]), string if strings else None)


def count(tx: Transaction, criteria: Sequence[Criterion]) -> int:
    """Return how many phones match."""
    check(criteria, Page().sort)
    if _tests(criteria):
        return sum(1 for _phone in found(tx, criteria, Page(), strings=False))
    return tx.connection.execute(_query(criteria).with_only_columns(func.count())).scalar_one()


def find(
    tx: Transaction, criteria: Sequence[Criterion], page: Page, *, strings: bool, fields: Sequence[str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many phones match, and the asked page of them, each with all it has or only with these fields."""
    total, phones_of_page = _find(tx, criteria, page, strings=strings)
    if fields is None:
        return total, phones_of_page
    known = {**TEXT_FIELDS, **DATE_FIELDS}
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise InvalidRequestError([not_allowed("fields", name, known) for name in unknown])
    return total, [{name: phone[name] for name in fields} for phone in phones_of_page]


def _find(
    tx: Transaction, criteria: Sequence[Criterion], page: Page, *, strings: bool
) -> tuple[int, list[dict[str, Any]]]:
    check(criteria, page.sort)
    total, start = count(tx, criteria), (page.number - 1) * page.rows
    if _tests(criteria):
        matching = found(tx, criteria, page, strings=strings)
        return total, list(islice(matching, start, start + page.rows))
    page_of = tx.connection.execute(_ordered(criteria, page).limit(page.rows).offset(start)).all()
    locks = guessing.locks(tx, [values[0] for values in page_of])
    return total, [
        _show(values, locks.get(values[0]), _string(tx.context, values) if strings else None) for values in page_of
    ]


def _string(context: Context, values: _Values) -> str:
    """Return a phone's string, empty where it has none; one that cannot be read is said to be so."""
    secret: bytes | None = values[_SECRET_AT]
    string = "" if secret is None else context.secrets.read(secret, values[0])
    return UNREADABLE_STRING if string is None else string


@lru_cache
def _key(ec: bool, bits: int) -> str:
    return str(KeySpec(ec, bits))


def _refusals(
    count: int | None, at: int | None, peer: str | None, status: str | None, problem: str | None
) -> dict[str, Any]:
    """Return how often phones were refused that claimed the operation, and the last one: why, when and from where."""
    return {
        "refusals": count or 0,
        "last_refusal": refusals.told(status, problem),
        "refused_at": moment.show(at),
        "refused_from": peer or "",
    }


def _show(values: _Values, lock: guessing.Lock | None, string: str | None) -> dict[str, Any]:
    """Return a phone as the API, the modules and the report show it."""
    shown = values[len(_PHONE) : _OF_LSC]
    operation, mode, _secret, state, completes_by, status, problem, *refused = shown
    serial, ec, bits, expires, issuer, issuer_expires = values[_OF_LSC:]
    pending = state in _OPEN
    status = status or STATUS_NONE
    phone = dict(zip(_PHONE, values, strict=False))
    phone |= {
        "certificate_operation": operation if pending else _NO_OPERATION,
        "operation_authentication_mode": mode,
        "operation_state": state,
        "operation_completes_by": moment.show(completes_by) if pending else None,
        "operation_status": status,
        "last_problem": problem or "",
        **_refusals(*refused),
        "lsc_status": status,
        "lsc": NOT_INSTALLED if serial is None else INSTALLED,
        "lsc_serial_number": serial,
        "lsc_key": None if serial is None else _key(ec, bits),
        "lsc_expires": moment.show(expires),
        "lsc_issued_by": issuer,
        "lsc_issuer_expires_by": moment.show(issuer_expires),
        "locked_addresses": 0 if lock is None else lock.addresses,
        "locked_until": None if lock is None else moment.show(lock.until),
    }
    if string is not None:
        phone[STRING_FIELD] = string
    return phone
