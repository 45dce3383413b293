# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding phones by several criteria that must all match, sorted and paged (R29)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

from capf.model import (
    LSC_INSTALLED,
    LSC_NOT_INSTALLED,
    STATUS_NONE,
    InvalidRequestError,
    KeySpec,
    Operation,
    Problem,
    not_allowed,
)
from capf.registry import guessing, moment, phone_fields, refusals
from capf.registry.context import Context
from capf.registry.phone_fields import DATE_PATTERNS, NAME, TEXT_PATTERNS, FieldKind, names, searchable, settings
from capf.registry.transaction import Transaction
from capf.store import search_rows as statements
from capf.store.rows import OPEN
from capf.store.schema import WaveRow
from capf.store.search_rows import FoundRow

TEXT_FIELDS = tuple(searchable(FieldKind.TEXT))
DATE_FIELDS = tuple(searchable(FieldKind.MOMENT))
STRING_FIELD = "authentication_string"
UNREADABLE_STRING = "(cannot be read: schedule the operation again)"
FIELDS = (*TEXT_FIELDS, STRING_FIELD, *DATE_FIELDS)
_SETTINGS = names(settings())
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "begins with": lambda text, part: text.startswith(part),
    "contains": lambda text, part: part in text,
    "ends with": lambda text, part: text.endswith(part),
    "is exactly": lambda text, part: text == part,
}
_NO_VALUE = (
    "this is empty, so that the criterion could mean every phone or those without a value; give a value, or use the"
    " pattern 'is empty' or 'is not empty'"
)
_SECONDS_A_DAY = 86400
_OPEN = frozenset(OPEN)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A search criterion."""

    field: str
    pattern: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The order of the found phones, and which page of them to return."""

    sort: str = "device_name"
    descending: bool = False
    number: int = 1
    rows: int = 50


def check(criteria: Sequence[Criterion], sort: str) -> None:
    """Raise InvalidRequestError for unknown fields, patterns that do not fit, empty values and wrong dates (P57)."""
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
        elif criterion.pattern in _TESTS and not criterion.value:
            problems.append(Problem(f"{where}.value", "", _NO_VALUE))
    if sort not in (*TEXT_FIELDS, *DATE_FIELDS):
        problems.append(not_allowed("sort", sort, (*TEXT_FIELDS, *DATE_FIELDS)))
    if problems:
        raise InvalidRequestError(problems)


def _date(text: str, days: int = 0) -> int | None:
    """Return when a day begins, or a day that is ``days`` later: in local time, not every day has 24 hours."""
    try:
        return int((moment.understood(text) + timedelta(days=days)).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _condition(criterion: Criterion) -> statements.Condition:
    """Return the database's condition for a criterion that has passed ``check``."""
    if criterion.field == STRING_FIELD:
        return statements.StringCondition(exists=criterion.pattern != "is empty")
    if criterion.field in TEXT_FIELDS:
        return statements.TextCondition(criterion.field, criterion.pattern, criterion.value)
    start = _date(criterion.value) or 0
    end = _date(criterion.value, days=1) or start + _SECONDS_A_DAY
    return statements.MomentCondition(criterion.field, criterion.pattern, start, end)


def _tests(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Return the criteria that need the string itself, which is encrypted in the database."""
    return [item for item in criteria if item.field == STRING_FIELD and "empty" not in item.pattern]


def found(
    tx: Transaction, criteria: Sequence[Criterion], page: Page, *, strings: bool, wave: WaveRow | None = None
) -> Iterator[dict[str, Any]]:
    """Yield every phone that matches, in order; ``strings`` adds the authentication strings.

    With a ``wave``, only phones match whose present operation was scheduled by this wave.
    """
    check(criteria, page.sort)
    tests, locks = _tests(criteria), guessing.locks(tx)
    order = statements.Order(page.sort, page.descending)
    for row in statements.each(tx.connection, _SETTINGS, [*map(_condition, criteria)], order, wave):
        string = _string(tx.context, row) if strings or tests else ""
        if all(_TESTS[test.pattern](string, test.value) for test in tests):
            yield _show(row, locks.get(row.device_name), string if strings else None)


def count(tx: Transaction, criteria: Sequence[Criterion]) -> int:
    """Return how many phones match."""
    check(criteria, Page().sort)
    if _tests(criteria):
        return sum(1 for _phone in found(tx, criteria, Page(), strings=False))
    return statements.count(tx.connection, [*map(_condition, criteria)])


def find(
    tx: Transaction, criteria: Sequence[Criterion], page: Page, *, strings: bool, fields: Sequence[str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many phones match, and the requested page of them, with all fields or only these."""
    total, phones_of_page = _find(tx, criteria, page, strings=strings)
    if fields is None:
        return total, phones_of_page
    known = (*TEXT_FIELDS, *DATE_FIELDS)
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
    order, part = statements.Order(page.sort, page.descending), slice(start, start + page.rows)
    rows = statements.page(tx.connection, _SETTINGS, [*map(_condition, criteria)], order, part)
    locks = guessing.locks(tx, [row.device_name for row in rows])
    return total, [
        _show(row, locks.get(row.device_name), _string(tx.context, row) if strings else None) for row in rows
    ]


def _string(context: Context, row: FoundRow) -> str:
    """Return a phone's string, empty if it has none, or a note if it cannot be read."""
    secret = row.authentication_string
    string = "" if secret is None else context.secrets.read(secret, row.device_name)
    return UNREADABLE_STRING if string is None else string


@lru_cache
def _key(ec: bool, bits: int) -> str:
    return str(KeySpec(ec, bits))


def _show(row: FoundRow, lock: guessing.Lock | None, string: str | None) -> dict[str, Any]:
    """Return a phone as the API, the modules and the report show it."""
    pending = row.state in _OPEN
    status = row.status or STATUS_NONE
    phone = {
        **dict(zip((NAME, *_SETTINGS), row.phone, strict=True)),
        phone_fields.OPERATION: row.operation if pending else Operation.NONE.value,
        "operation_authentication_mode": row.authentication_mode,
        phone_fields.STATE: row.state,
        "operation_completes_by": moment.show(row.completes_by) if pending else None,
        phone_fields.STATUS: status,
        "last_problem": row.problem or "",
        "refusals": row.refusals or 0,
        "last_refusal": refusals.described(row.refused_as, row.refused_because),
        "refused_at": moment.show(row.refused_at),
        "refused_from": row.refused_from or "",
        "lsc_status": status,
        **_show_lsc(row),
        "locked_addresses": 0 if lock is None else lock.addresses,
        "locked_until": None if lock is None else moment.show(lock.until),
    }
    if string is not None:
        phone[STRING_FIELD] = string
    return phone


def _show_lsc(row: FoundRow) -> dict[str, Any]:
    return {
        "lsc": LSC_NOT_INSTALLED if row.serial_number is None else LSC_INSTALLED,
        "lsc_serial_number": row.serial_number,
        "lsc_key": None if row.ec is None or row.bits is None else _key(row.ec, row.bits),
        phone_fields.EXPIRES: moment.show(row.not_after),
        "lsc_issued_by": row.issuer,
        "lsc_issuer_expires_by": moment.show(row.issuer_not_after),
    }
