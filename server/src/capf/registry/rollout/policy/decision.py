# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rolling rollout does now: outcomes, judgement, end, admission, in this order (P71, P72, P73)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from capf.registry.rollout.policy import judging, places
from capf.registry.rollout.policy.observed import Candidate, Decision, Ended, PhoneOutcome, RolloutLimits, View

DONE, STOPPED = "done", "stopped"
NOT_WATCHED = "no run watches the rollout"
PAUSED = "paused"
NOT_OPEN = "the window has not opened yet"
NO_RESETS = "the resets of this minute are used"
AWAITS_PILOT = "the pilot is not judged yet"
NOTHING_FITS = "no waiting phone fits: its site has its share in flight, or it would not end within the window"
WINDOW_OVER = "no further phone fits into the window"


def decide(
    view: View, limits: RolloutLimits, pilot_candidates: Iterable[Candidate], candidates: Iterable[Candidate]
) -> Decision:
    """Return what to do now.

    ``pilot_candidates``: the waiting phones of the pilot; ``candidates``: the other waiting phones; both in the order
    in which they are to be admitted, and without those that ``places.room`` excludes where the caller can tell. They
    are read lazily, and not at all if nothing can be admitted. The cost depends on the phones in flight and those
    admitted, not on those that wait.
    """
    found = [(phone, places.outcome(phone, limits, view.now)) for phone in view.in_flight]
    ended = [(phone.name, result) for phone, result in found if result is not None]
    after = _after(view, [phone.pilot for phone, result in found if result is not None], [how for _name, how in ended])
    after = replace(after, in_flight=[phone for phone, result in found if result is None])
    passed, problem = _judge(after, limits)
    after = replace(after, pilot=replace(after.pilot, judged=after.pilot.judged or passed))
    decision = Decision(ended=ended, judge_pilot=passed)
    if not after.in_flight and not _waiting(after):
        return replace(decision, state=STOPPED if problem else DONE, why=problem)
    if problem and _waiting(after) and not view.paused:
        return replace(decision, pause=problem)
    return _admit(decision, after, limits, (iter(pilot_candidates), iter(candidates)))


def _after(view: View, pilot: Sequence[bool], outcomes: Sequence[PhoneOutcome]) -> View:
    """Return the view with these outcomes counted; ``pilot``: which of them are the pilot's."""
    of_pilot = [how for how, belongs in zip(outcomes, pilot, strict=True) if belongs]
    ended = Ended([*view.ended.recent, *outcomes], _sum(view.ended.totals, outcomes))
    counted = replace(
        view.pilot, in_flight=view.pilot.in_flight - len(of_pilot), totals=_sum(view.pilot.totals, of_pilot)
    )
    return replace(view, ended=ended, pilot=counted)


def _sum(totals: Mapping[PhoneOutcome, int], outcomes: Sequence[PhoneOutcome]) -> Counter[PhoneOutcome]:
    return Counter(totals) + Counter(outcomes)


def _judge(view: View, limits: RolloutLimits) -> tuple[bool, str]:
    """Return whether the pilot has just passed, and why the rollout pauses, or ""."""
    if judging.pilot_has_ended(view):
        problem = judging.judge_pilot(view, limits)
        if problem:
            return False, problem
        return True, judging.judge(view, limits)
    # Beside a pilot that is not judged, others are: nobody waits for its slowest phone to see them fail.
    return False, judging.judge(view, limits) if view.pilot.judged or limits.overlap else ""


def _waiting(view: View) -> int:
    return view.waiting + view.pilot.waiting


def _admit(
    decision: Decision, view: View, limits: RolloutLimits, candidates: tuple[Iterator[Candidate], Iterator[Candidate]]
) -> Decision:
    """Return the decision with the phones to admit, or with why there are none."""
    if not view.in_flight and view.ends_at is not None and view.now >= view.ends_at:
        return replace(decision, state=STOPPED, why=WINDOW_OVER)
    closed = _closed(view)
    if closed or not _waiting(view):
        return replace(decision, waits=closed)
    free = places.room_beside(view.in_flight, view, limits)
    if free.is_used_up:
        return replace(decision, waits=NO_RESETS if free.places > 0 else "")
    names = _names(view, limits, free, candidates)
    if not names and not view.in_flight and view.ends_at is not None:
        return replace(decision, state=STOPPED, why=WINDOW_OVER)
    return replace(decision, admit=names, waits="" if names else _unfit(view, limits, free))


def _closed(view: View) -> str:
    """Return why no phone may be admitted at all, or ""."""
    if view.paused:
        return PAUSED
    if not view.attended:
        return NOT_WATCHED
    return NOT_OPEN if places.is_early(view) else ""


def _names(
    view: View, limits: RolloutLimits, free: places.Room, candidates: tuple[Iterator[Candidate], Iterator[Candidate]]
) -> list[str]:
    """Return the phones to admit: the pilot's first, and others beside it only with overlap."""
    pilot, others = candidates
    # With nothing in flight, this is the decision whether anything fits at all, so that all phones are looked at.
    nothing = not view.in_flight
    names = places.admit(free, pilot, until_one_fits=nothing) if view.pilot.waiting else []
    if not view.pilot.judged and not limits.overlap:
        return names
    beside = free if view.pilot.judged else places.room_beside_pilot(view, limits, free)
    return names + places.admit(beside, others, until_one_fits=nothing and not names)


def _unfit(view: View, limits: RolloutLimits, free: places.Room) -> str:
    """Return why no waiting phone fits into the free room; "" if all places are taken."""
    if free.places <= 0:
        return ""
    if view.pilot.judged or view.pilot.waiting:
        return NOTHING_FITS
    is_small = not limits.overlap or places.room_beside_pilot(view, limits, free).places <= 0
    return AWAITS_PILOT if is_small else NOTHING_FITS
