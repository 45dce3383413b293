# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication strings from users: their form, and how spreadsheets damage them (R26).

A spreadsheet reads a string as a number and drops leading zeros: a list that was opened and saved there may have
different strings than the pending ones. Such a list is refused, phone by phone, and nothing is scheduled with a
truncated string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from capf.model import AUTHENTICATION_STRING, AUTHENTICATION_STRING_ALLOWED, InvalidRequestError, Problem
from capf.registry import lifecycle
from capf.registry.context import Context
from capf.registry.phone_fields import NAME
from capf.registry.transaction import Transaction
from capf.store import rows
from capf.store.schema import OperationRow

FIELD = "authentication_string"
HIDDEN = "(hidden)"
_NUMBER = re.compile(r"[+-]?[0-9][0-9., '\u00a0\u202f]*(?:[eE][+-]?[0-9]+)?")
_TO_DO = "format the column as text in the spreadsheet and enter the string again"
WRONG_FORM = f"an authentication string has {AUTHENTICATION_STRING_ALLOWED}"
IS_A_NUMBER = f"{WRONG_FORM}; a spreadsheet has written this one as a number: {_TO_DO}"
HAS_SHRUNK = (
    "a spreadsheet has dropped the zeros at the beginning of the pending string:"
    f" {_TO_DO}, or cancel the pending operation to schedule another string"
)


def problem(where: str, given: str, expected: str | None) -> Problem | None:
    """Return the problem of a string that is given for a phone, None if it is valid.

    ``where`` is the phone's place in the request, ``expected`` the string for which it waits. Neither string is
    in the answer.
    """
    if expected is not None and _has_shrunk(given, expected):
        return Problem(f"{where}.{FIELD}", HIDDEN, HAS_SHRUNK)
    if AUTHENTICATION_STRING.fullmatch(given):
        return None
    is_number = not given.isdecimal() and _NUMBER.fullmatch(given)
    return Problem(f"{where}.{FIELD}", HIDDEN, IS_A_NUMBER if is_number else WRONG_FORM)


def _has_shrunk(given: str, expected: str) -> bool:
    return given != expected and given == (expected.lstrip("0") or "0")


def of(context: Context, operation: OperationRow) -> str | None:
    """Return the string of an operation, None if it no longer has one or it cannot be read."""
    secret = operation.authentication_string
    return None if secret is None else context.secrets.read(secret, operation.device_name)


def pending(context: Context, last: OperationRow | None) -> str | None:
    """Return the string that a phone's latest operation waits for, None if it waits for no string."""
    return of(context, last) if last is not None and lifecycle.is_open(last) else None


def problems(tx: Transaction, phones: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Return the problems of the strings of a list of phones, by index."""
    given = [(index, phone) for index, phone in enumerate(phones) if phone.get(FIELD) is not None]
    last = rows.operations_of(tx.connection, [phone[NAME] for _index, phone in given])
    found = [
        problem(f"phones[{index}]", phone[FIELD], pending(tx.context, last.get(phone[NAME]))) for index, phone in given
    ]
    return [item for item in found if item is not None]


def refuse_wrong(tx: Transaction, phones: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidRequestError with each invalid string of a list of phones."""
    found = problems(tx, phones)
    if found:
        raise InvalidRequestError(found)
