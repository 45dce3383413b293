# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a rolling rollout is expected to end, from the record (P73)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from capf.registry.rollout.policy import estimate
from capf.registry.rollout.policy.estimate import TypeTimes
from capf.registry.rollout.policy.observed import PhoneOutcome
from capf.registry.rollout.rolling_view import limits_of, totals_of
from capf.registry.transaction import Transaction
from capf.store import rolling_rows
from capf.store.rolling_rows import TypeRow
from capf.store.schema import RolloutRow

_UNKNOWN_SECONDS = 300
"""The mean time of a phone whose type was never measured."""


def expected_end(tx: Transaction, rollout: RolloutRow) -> int | None:
    """Return when the last phone is expected to have ended, in epoch seconds; None if it is paused or not watched.

    Phones by authentication string wait for people and are left out.
    """
    if rollout.paused_at is not None or rollout.watched_at is None:
        return None
    earlier = {kind: sum(taken) / len(taken) for kind, taken in rolling_rows.durations(tx.connection).items()}
    running: dict[str, list[int]] = defaultdict(list)
    for device_type, admitted_at in rolling_rows.running_by_type(tx.connection, rollout.id):
        running[device_type].append(max(0, tx.now - admitted_at))
    known = rolling_rows.by_type(tx.connection, rollout.id)
    outcomes = totals_of(rolling_rows.outcomes(tx.connection, rollout))
    unreached = outcomes[PhoneOutcome.UNREACHED] / outcomes.total() if outcomes else 0.0
    begin = max(tx.now, rollout.starts_at or tx.now)
    return estimate.end(begin, _times(known, earlier, running), limits_of(tx.connection, rollout), unreached)


def _times(
    known: Sequence[TypeRow], earlier: Mapping[str, float], running: Mapping[str, Sequence[int]]
) -> list[TypeTimes]:
    return [
        TypeTimes(
            expected=max(1.0, min(row.longest, earlier.get(row.device_type, _UNKNOWN_SECONDS))),
            longest=row.longest,
            waiting=row.waiting,
            running=running.get(row.device_type, ()),
            ended=row.done,
            seconds=row.seconds,
        )
        for row in known
    ]
