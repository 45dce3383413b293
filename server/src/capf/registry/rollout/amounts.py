# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers and percentages of phones: ``25`` or ``10%``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from capf.model import Problem, not_allowed

ALLOWED = "a number of phones such as 25, or a percentage such as 10%"
_FORM = re.compile(r"(\d{1,6})(%?)")
_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of phones, or a percentage of them."""

    number: int
    share: bool

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.share else ''}"

    def of(self, total: int) -> int:
        """Return how many of ``total`` phones this is, with a percentage rounded down as for a limit."""
        return total * self.number // _WHOLE if self.share else self.number

    def size(self, total: int) -> int:
        """Return how many of ``total`` phones this is, with a percentage rounded up as for the size of a wave."""
        return min(total, math.ceil(total * self.number / _WHOLE) if self.share else self.number)


def parse(text: str, field: str, problems: list[Problem], minimum: int = 0) -> Amount:
    """Parse an amount; add a problem for ``field`` if ``text`` is invalid."""
    found = _FORM.fullmatch(text)
    amount = Amount(int(found[1]), bool(found[2])) if found else None
    if amount is None or amount.number < minimum or (amount.share and amount.number > _WHOLE):
        problems.append(not_allowed(field, text, ALLOWED + (f", from {minimum}" if minimum else "")))
        return Amount(minimum, share=False)
    return amount
