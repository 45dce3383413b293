# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbers for monitoring rollouts: of running ones, and of those that ended within the last day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from capf.registry import need, parts
from capf.registry.parts import Part
from capf.registry.rollout import verdict, waves
from capf.registry.rollout.verdict import Verdict
from capf.registry.transaction import Transaction
from capf.store import rollout_rows
from capf.store.schema import RolloutRow


@dataclass(slots=True)
class Numbers:
    """``phones`` are (rollout, part, number of phones), ``verdicts`` (rollout, wave, verdict); the others are by
    rollout, for its running wave."""

    phones: list[tuple[str, Part, int]] = field(default_factory=list)
    verdicts: list[tuple[str, int, Verdict]] = field(default_factory=list)
    wave: dict[str, float] = field(default_factory=dict)
    phones_a_minute: dict[str, float] = field(default_factory=dict)
    seconds_left: dict[str, float] = field(default_factory=dict)


def numbers(tx: Transaction) -> Numbers:
    """Return the numbers of the monitored rollouts."""
    found, watched = Numbers(), _watched(tx)
    names = {rollout.id: name for name, rollout in watched.items()}
    counted: Counter[tuple[str, Part]] = Counter()
    for row in rollout_rows.count_alike(tx.connection, list(names)):
        counted[row.name, parts.of(row)] += row.number
    found.phones = [(name, part, counted[name, part]) for name in watched for part in Part]
    for name, rollout in watched.items():
        given = ((wave.number, verdict.of(wave)) for wave in rollout_rows.waves(tx.connection, rollout.id))
        found.verdicts += ((name, number, judged) for number, judged in given if judged is not None)
        _add_wave_now(tx, rollout, found)
    return found


def _watched(tx: Transaction) -> dict[str, RolloutRow]:
    """Return the latest rollout of each name while it is running and for a day after its end, because monitoring has to
    see how it ended."""
    latest = {rollout.name: rollout for rollout in reversed(rollout_rows.every(tx.connection))}
    since = tx.now - need.SECONDS_A_DAY
    return {name: rollout for name, rollout in latest.items() if (rollout.ended_at or tx.now) > since}


def _add_wave_now(tx: Transaction, rollout: RolloutRow, found: Numbers) -> None:
    now = waves.current(tx, rollout)
    if now is not None:
        found.wave[rollout.name] = now.number
        found.phones_a_minute[rollout.name] = now.phones_a_minute
        found.seconds_left[rollout.name] = now.seconds_left
