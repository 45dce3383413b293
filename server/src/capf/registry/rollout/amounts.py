"""Numbers and shares of phones: ``25``, or ``10%`` of them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from capf.model import Problem, not_allowed

ALLOWED = "a number of phones such as 25, or a share such as 10%"
_FORM = re.compile(r"(\d{1,6})(%?)")
_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """So many phones, or such a share of them."""

    number: int
    share: bool

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.share else ''}"

    def of(self, total: int) -> int:
        """Return how many of ``total`` phones that is, a share rounded down: the reading of a limit."""
        return total * self.number // _WHOLE if self.share else self.number

    def size(self, total: int) -> int:
        """Return how many of ``total`` phones that is, a share rounded up: the reading of a wave's size."""
        return min(total, math.ceil(total * self.number / _WHOLE) if self.share else self.number)


def parse(text: str, field: str, problems: list[Problem], minimum: int = 0) -> Amount:
    """Return the amount that ``text`` says; adds a problem for ``field`` where it says none."""
    found = _FORM.fullmatch(text)
    amount = Amount(int(found[1]), bool(found[2])) if found else None
    if amount is None or amount.number < minimum or (amount.share and amount.number > _WHOLE):
        problems.append(not_allowed(field, text, ALLOWED + (f", from {minimum}" if minimum else "")))
        return Amount(minimum, share=False)
    return amount
