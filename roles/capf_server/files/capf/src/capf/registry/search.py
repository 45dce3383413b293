"""Finding phones by several criteria that must all match, sorted and paged (R29)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from capf.model import STATUS_NONE, CertificateState, InvalidRequestError, KeySpec, Operation, Problem
from capf.registry import moment
from capf.registry.context import Context
from capf.store.rows import OPEN, Row
from capf.store.schema import certificates, operations, phones

_STATUS = func.coalesce(operations.c.status, STATUS_NONE)
TEXT_FIELDS: Mapping[str, ColumnElement[Any]] = {
    "device_name": phones.c.device_name,
    "description": phones.c.description,
    "device_pool": phones.c.device_pool,
    "device_type": phones.c.device_type,
    "security_profile": phones.c.security_profile,
    "lsc_status": _STATUS,
    "lsc_issued_by": func.coalesce(certificates.c.issuer, ""),
}
DATE_FIELDS: Mapping[str, ColumnElement[Any]] = {
    "lsc_expires": certificates.c.not_after,
    "lsc_issuer_expires_by": certificates.c.issuer_not_after,
}
STRING_FIELD = "authentication_string"
FIELDS = (*TEXT_FIELDS, STRING_FIELD, *DATE_FIELDS)
TEXT_PATTERNS = ("begins with", "contains", "ends with", "is exactly", "is empty", "is not empty")
DATE_PATTERNS = ("is before", "is exactly", "is after", "is empty", "is not empty")
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "begins with": lambda text, part: text.startswith(part),
    "contains": lambda text, part: part in text,
    "ends with": lambda text, part: text.endswith(part),
    "is exactly": lambda text, part: text == part,
    "is empty": lambda text, _unused: not text,
    "is not empty": lambda text, _unused: bool(text),
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
            problems.append(Problem(f"{where}.field", criterion.field, ", ".join(FIELDS)))
        elif criterion.pattern not in patterns:
            problems.append(Problem(f"{where}.pattern", criterion.pattern, ", ".join(patterns)))
        elif criterion.field in DATE_FIELDS and "empty" not in criterion.pattern and _date(criterion.value) is None:
            problems.append(Problem(f"{where}.value", criterion.value, "a date such as 2030-01-31"))
    if sort not in {**TEXT_FIELDS, **DATE_FIELDS}:
        problems.append(Problem("sort", sort, ", ".join((*TEXT_FIELDS, *DATE_FIELDS))))
    if problems:
        raise InvalidRequestError(problems)


def _date(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


def _condition(criterion: Criterion) -> ColumnElement[bool]:
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
    if criterion.pattern == "is before":
        return column < start
    if criterion.pattern == "is after":
        return column >= start + _SECONDS_A_DAY
    return and_(column >= start, column < start + _SECONDS_A_DAY)


def _query(criteria: Sequence[Criterion]) -> Select[Any]:
    """Return phones with their latest operation and active certificate, columns of the three labelled apart."""
    columns = [
        *phones.c,
        *(column.label(f"operation_{column.name}") for column in operations.c),
        *(column.label(f"certificate_{column.name}") for column in certificates.c if column.name != "der"),
    ]
    active = and_(certificates.c.device_name == phones.c.device_name, certificates.c.state == CertificateState.ACTIVE)
    query = select(*[column for column in columns if column is not phones.c.operation_id]).select_from(
        phones.outerjoin(operations, operations.c.id == phones.c.operation_id).outerjoin(certificates, active)
    )
    return query.where(*(_condition(item) for item in criteria if item.field != STRING_FIELD))


def found(
    connection: Connection, context: Context, criteria: Sequence[Criterion], page: Page, *, strings: bool
) -> Iterator[dict[str, Any]]:
    """Yield every phone that matches, in order; ``strings`` adds the authentication strings."""
    check(criteria, page.sort)
    order = {**TEXT_FIELDS, **DATE_FIELDS}[page.sort]
    order = order.desc() if page.descending else order.asc()
    query = _query(criteria).order_by(order, phones.c.device_name)
    tests = [item for item in criteria if item.field == STRING_FIELD]
    for row in connection.execution_options(yield_per=1000).execute(query).mappings():
        string = _string(context, row) if strings or tests else ""
        if all(_TESTS[test.pattern](string, test.value) for test in tests):
            yield _show(row, context.now, string if strings else None)


def find(
    connection: Connection, context: Context, criteria: Sequence[Criterion], page: Page, *, strings: bool
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many phones match, and the asked page of them."""
    check(criteria, page.sort)
    start = (page.number - 1) * page.rows
    matching, total = [], 0
    for phone in found(connection, context, criteria, page, strings=strings):
        if start <= total < start + page.rows:
            matching.append(phone)
        total += 1
    return total, matching


def _string(context: Context, row: Row) -> str:
    secret = row["operation_authentication_string"]
    return "" if secret is None else context.secrets.decrypt(secret, row["device_name"])


def _show(row: Row, now: int, string: str | None) -> dict[str, Any]:
    """Return a phone as the API, the modules and the report show it."""
    pending = row["operation_state"] in OPEN
    status = row["operation_status"] or STATUS_NONE
    key = None
    if row["certificate_serial_number"] is not None:
        key = str(KeySpec(row["certificate_ec"], row["certificate_bits"]))
    phone = {
        name: row[name]
        for name in ("device_name", "description", "device_pool", "device_type", "security_profile",
                     "device_security_mode", "mic", "authentication_mode", "key_order", "key_size", "ec_key_size")
    }  # fmt: skip
    phone |= {
        "certificate_operation": row["operation_operation"] if pending else Operation.NONE.value,
        "operation_authentication_mode": row["operation_authentication_mode"],
        "operation_state": row["operation_state"],
        "operation_completes_by": moment.show(row["operation_completes_by"]) if pending else None,
        "operation_status": status,
        "last_problem": row["operation_problem"] or "",
        "lsc_status": status,
        "lsc": "Not Installed" if key is None else "Installed",
        "lsc_serial_number": row["certificate_serial_number"],
        "lsc_key": key,
        "lsc_expires": moment.show(row["certificate_not_after"]),
        "lsc_issued_by": row["certificate_issuer"],
        "lsc_issuer_expires_by": moment.show(row["certificate_issuer_not_after"]),
        "locked_until": moment.show(row["locked_until"]) if row["locked_until"] > now else None,
    }
    return phone if string is None else {**phone, "authentication_string": string}
