# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A request that removes many phones, or deletes or revokes many LSCs, has to confirm the number (P57)."""

from __future__ import annotations

from capf.model import InvalidRequestError, Problem
from capf.registry.transaction import Transaction
from capf.store import rows

FIELD = "confirm"
_PHONES, _PERCENT = 10, 5


def is_needed(number: int, registered: int) -> bool:
    """Return whether this number of phones needs a confirmation: more than 10, or more than 5 % of the registered.

    A single phone needs none, however few phones there are.
    """
    return number > 1 and (number > _PHONES or number * 100 > registered * _PERCENT)


def require(tx: Transaction, number: int, confirmed: int | None, what: str) -> None:
    """Raise InvalidRequestError with the number to confirm, if a confirmation is needed and a different number was
    given.

    ``what`` says what happens to the phones, such as ``remove {}``.
    """
    registered = rows.count_phones(tx.connection)
    if confirmed == number or not is_needed(number, registered):
        return
    shown = "" if confirmed is None else str(confirmed)
    done = what.format(f"{number} of the {registered} registered phones")
    message = f"this would {done}; set {FIELD} to {number} if that is what you want"
    raise InvalidRequestError([Problem(FIELD, shown, message)])
