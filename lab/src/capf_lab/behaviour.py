# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""How simulated phones misbehave, so that a rehearsal meets the faults of a real maintenance window."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from capf.model import CapfError


class Behaviour(StrEnum):
    """One phone's behaviour."""

    NORMAL = "normal"
    OFFLINE = "offline"
    SLOW = "slow"
    LOSSY = "lossy"
    WRONG_STRING = "wrong_string"


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of phones for each behaviour, from 0 to 1; the phones' list takes precedence."""

    offline: float = 0.0
    slow: float = 0.0
    lossy: float = 0.0
    wrong_string: float = 0.0

    def of(self, device_name: str) -> Behaviour:
        """Return a phone's behaviour: the same in every run, distributed over the fleet by the name's digest."""
        point = int.from_bytes(hashlib.sha256(device_name.encode()).digest()[:8], "big") / 2**64
        for behaviour, share in (
            (Behaviour.OFFLINE, self.offline),
            (Behaviour.SLOW, self.slow),
            (Behaviour.LOSSY, self.lossy),
            (Behaviour.WRONG_STRING, self.wrong_string),
        ):
            if point < share:
                return behaviour
            point -= share
        return Behaviour.NORMAL


def share(text: str) -> float:
    """Return a share given as ``3%`` or ``0.03``; CapfError if it is neither."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise CapfError(f"share: {text!r} is refused; allowed: 0% to 100%")
    return value
