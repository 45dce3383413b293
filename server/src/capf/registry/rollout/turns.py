# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order in which a rolling rollout admits its phones, and how long each may take (P71, P73)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from capf.model import AuthenticationMode
from capf.registry.rollout import order
from capf.registry.rollout.settings import NO_SITES, RolloutSettings, seconds
from capf.registry.transaction import Transaction
from capf.store import rolling_rows, rollout_rows
from capf.store.schema import PhoneRow

MEASURED_AT_LEAST = 20
"""The number of measured phones of a device type from which they say how long the others may take."""
_PERCENTILE = 0.95


@dataclass(frozen=True, slots=True)
class Turns:
    """The pilot, the other phones, both in the order of their admission, and the seconds that each phone may take.

    ``by_string``: those that authenticate by string.
    """

    pilot: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    seconds: Mapping[str, int] = field(default_factory=dict)
    by_string: Collection[str] = ()

    def latest(self, in_flight: int) -> int:
        """Return the seconds until the last of these phones has ended at the latest; ``in_flight``: phones at once."""
        pilot = max((self.seconds[name] for name in self.pilot), default=0)
        work = [self.seconds[name] for name in self.others]
        return pilot + math.ceil(sum(work) / in_flight) + max(work, default=0)


def arrange(tx: Transaction, known: Mapping[str, PhoneRow], settings: RolloutSettings) -> Turns:
    """Return the turns of these phones; ``known`` has them in the order of the list.

    The pilot has phones of all sites. Of the others, those that may take longest come first, so that the rollout does
    not end with one slow phone; among equals the order of the list holds, spread over the sites.
    """
    by = settings.spread_by
    site_of = dict.fromkeys(known, "") if by == NO_SITES else rollout_rows.sites_of(tx.connection, list(known), by)
    spread = order.spread(list(known), site_of)
    size = settings.pilot_size.size(len(known))
    sizes = {"": 0} if by == NO_SITES else rollout_rows.count_sites(tx.connection, by)
    pilot = order.cut(spread, site_of, sizes, size, len(known))[0] if size else []
    lasting = expected(tx, known, settings)
    others = set(known).difference(pilot)
    longest_first = sorted(
        (name for name in spread if name in others),
        key=lambda name: (-lasting[name], -(known[name].key_size or 0)),
    )
    by_string = {name for name, row in known.items() if row.authentication_mode == AuthenticationMode.STRING}
    return Turns(pilot, longest_first, lasting, by_string)


def expected(tx: Transaction, known: Mapping[str, PhoneRow], settings: RolloutSettings) -> dict[str, int]:
    """Return the seconds that each phone may take from its admission until it is done.

    They are the 95th percentile of what phones of its device type took in this and earlier rollouts, if there are
    enough of them, otherwise the longest time that is allowed.
    """
    measured = {kind: _percentile(taken) for kind, taken in rolling_rows.durations(tx.connection).items()}
    found = {}
    for name, row in known.items():
        longest = seconds(settings, [row.authentication_mode])
        found[name] = min(longest, measured.get(row.device_type) or longest)
    return found


def _percentile(taken: Sequence[int]) -> int | None:
    """Return the 95th percentile, at least a second; None of too few values."""
    if len(taken) < MEASURED_AT_LEAST:
        return None
    return max(1, sorted(taken)[math.ceil(len(taken) * _PERCENTILE) - 1])
