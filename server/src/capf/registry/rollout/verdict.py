# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on a wave: given once, when the wave is judged, and recorded; every view of it reads it here (R16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from capf.model import counted
from capf.registry import parts
from capf.registry.parts import Part
from capf.registry.rollout.plan import PILOT, RETRY
from capf.registry.rollout.settings import RolloutSettings
from capf.registry.transaction import Transaction
from capf.store import rollout_rows
from capf.store.schema import RolloutRow, WaveRow


@dataclass(frozen=True, slots=True)
class Verdict:
    """``failing`` of ``judged`` phones are not done, ``allowed`` is the limit; ``stopped``: whether that ended the
    rollout.

    ``allowed`` is None for a retry, which stops nothing: its phones were counted in their first wave.
    """

    judged: int
    failing: int
    allowed: int | None
    stopped: bool

    @property
    def words(self) -> str:
        """The verdict as reports have it."""
        numbers = f"{self.failing:,} of {counted(self.judged, 'phone')} not done"
        if self.allowed is None:
            return f"a retry is not judged: {numbers}"
        return f"{'stopped the rollout' if self.stopped else 'passed'}: {numbers}, {self.allowed:,} allowed"


def give(kind: str, counts: Counter[Part], settings: RolloutSettings) -> Verdict:
    """Return the verdict on a wave of this kind by its phones' parts: all phones are judged except skipped ones, and
    those that are not done count as failing."""
    judged = counts.total() - counts[Part.SKIPPED]
    failing = judged - counts[Part.DONE]
    limit = settings.pilot_failure_limit if kind == PILOT else settings.failure_limit
    allowed = None if kind == RETRY else limit.of(judged)
    return Verdict(judged, failing, allowed, stopped=allowed is not None and failing > allowed)


def of(wave: WaveRow) -> Verdict | None:
    """Return the verdict that was given on a wave, None before that."""
    if wave.judged is None:
        return None
    return Verdict(wave.judged, wave.failing or 0, wave.allowed, bool(wave.stopped))


def record(
    tx: Transaction, rollout: RolloutRow, wave: WaveRow, counts: Counter[Part], settings: RolloutSettings
) -> Verdict:
    """Give the verdict on a wave that is over, record it with the numbers of its phones, and return it."""
    given, numbers = give(wave.kind, counts, settings), parts.show(counts)
    kept = {name: numbers[name] for name in rollout_rows.COUNTED}
    said = {"judged": given.judged, "failing": given.failing, "allowed": given.allowed, "stopped": given.stopped}
    rollout_rows.change_wave(tx.connection, rollout.id, wave.number, **kept, **said)
    detail = {"rollout": rollout.name, "wave": wave.number, **kept, **said}
    tx.audit("judge wave", **detail)
    return given
