# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a rollout, or of a list of phones to wait for: the only table, and the only rule (R16).

waiting    its wave has not started
in flight  its operation is scheduled and has not ended; once its wave is over, only while a session carries it out
done       its operation succeeded, and the judgement of its wave found it registered and with its LSC
failed     its operation failed or was cancelled; or it was refused; or it connected and was not done when its wave
           was over; or the judgement found it without its LSC, or not registered with call processing
unreached  its wave was judged, or the rollout ended, and it never connected
skipped    it needs no operation: its LSC is up to date, or it is no longer registered with the server, or a session was
           doing something else with it, or the rollout ended before its wave began; or it would
           certainly fail

A part shows the current state: a phone that succeeds after its wave was judged becomes done. The verdict on its wave
stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from capf.model import State, counted
from capf.registry import lifecycle
from capf.store import rows
from capf.store.rollout_rows import MemberRow

REFUSED = "refused"
NOT_TRIED = "not tried"
"""The beginning of the note on a phone that is skipped because it would certainly fail (``registry.forecast``)."""
NOT_REGISTERED = "the phone has its LSC and is not registered with call processing: visit it"
WITHOUT_LSC = "the phone no longer has an LSC: another operation deleted it; include the phone in the next rollout"
GONE = "no longer registered with the server"
NOT_BEGUN = "wave not started"
ENDED_BEFORE = "the rollout ended before its wave began"


class Part(StrEnum):
    """A phone's part of a rollout, in the order in which the parts are shown."""

    WAITING = "waiting"
    IN_FLIGHT = "in flight"
    DONE = "done"
    FAILED = "failed"
    UNREACHED = "unreached"
    SKIPPED = "skipped"

    @property
    def key(self) -> str:
        """The word as the name of a number."""
        return self.value.replace(" ", "_")


KEYS = tuple(part.key for part in Part)


@dataclass(frozen=True, slots=True)
class WavePhase:
    """The facts about the wave on which a part depends: whether it was started, and is ``over`` (judged, or the rollout
    ended)."""

    begun: bool = True
    over: bool = False


def part(
    state: str | None, wave: WavePhase = WavePhase(), *, came: bool = False, in_session: bool = False, note: str = ""
) -> Part:
    """Return the part of a phone whose operation is in ``state`` (None: it has none).

    ``came``: whether the phone, or somebody in its name, was refused or lost its session; ``in_session``: whether a
    session carries the operation out now (``lifecycle``); ``note``: what the rollout noted of the phone.
    """
    if state is None:
        return _part_without_operation(wave, note)
    if state == State.DONE:
        return Part.FAILED if note in (NOT_REGISTERED, WITHOUT_LSC) else Part.DONE
    if state not in rows.OPEN:
        return Part.FAILED
    if not wave.over or in_session:
        return Part.IN_FLIGHT
    return Part.FAILED if came else Part.UNREACHED


def _part_without_operation(wave: WavePhase, note: str) -> Part:
    if note.startswith(REFUSED):
        return Part.FAILED
    return Part.SKIPPED if note or wave.begun or wave.over else Part.WAITING


class MemberState(lifecycle.HasSession, Protocol):
    """The columns of a rollout's phone that its part depends on."""

    @property
    def note(self) -> str: ...
    @property
    def refusals(self) -> int | None: ...
    @property
    def lost_sessions(self) -> int | None: ...
    @property
    def started_at(self) -> int | None: ...
    @property
    def judged_at(self) -> int | None: ...
    @property
    def rollout_ended_at(self) -> int | None: ...


def of(row: MemberState) -> Part:
    """Return the part of a rollout's phone, by its row (``store.rollout_rows.members``)."""
    begun = row.started_at is not None
    over = row.judged_at is not None or row.rollout_ended_at is not None
    came = bool(row.refusals or row.lost_sessions)
    return part(row.state, WavePhase(begun, over), came=came, in_session=lifecycle.in_session(row), note=row.note)


def status_of(row: MemberRow) -> str:
    """Return the Operation Status of a rollout's phone, or why it has none."""
    if row.status or row.note:
        return str(row.status or row.note)
    if row.started_at is not None:
        return GONE
    return NOT_BEGUN if row.rollout_ended_at is None else ENDED_BEFORE


def counts(found: Iterable[Part]) -> dict[str, int]:
    """Return the number of phones, and the number in each part."""
    return show(Counter(found))


def show(numbers: Mapping[Part, int]) -> dict[str, int]:
    """Return the numbers of phones by part with their sum; every part is included."""
    return {"phones": sum(numbers.values()), **{part.key: numbers.get(part, 0) for part in Part}}


def words(numbers: Mapping[str, Any]) -> str:
    """Return ``counts`` in words, such as ``3 phones: 2 done, 1 failed``."""
    shown = [f"{numbers[part.key]:,} {part}" for part in Part if numbers[part.key]]
    phones = sum(numbers[key] for key in KEYS)
    return counted(phones, "phone") + (f": {', '.join(shown)}" if shown else "")
