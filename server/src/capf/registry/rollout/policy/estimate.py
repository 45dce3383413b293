# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The expected end of a rolling rollout: from what is known of each device type, and better as phones end (P73)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from capf.registry.rollout.policy.observed import RolloutLimits

KNOWN = 20
"""What was expected of a device type counts like this number of measured phones."""
_SOME = 0.5


@dataclass(frozen=True, slots=True)
class TypeTimes:
    """What is known of the phones of one device type: seconds from a phone's admission until it is done.

    ``expected``: their mean, and ``longest``: their 95th percentile, before this rollout. ``waiting``: number of phones
    that wait. ``running``: for each phone in flight, the seconds since its admission. ``ended`` and ``seconds``: number
    of phones of this rollout that are done, and the sum of their times.
    """

    expected: float
    longest: float
    waiting: int = 0
    running: Sequence[int] = ()
    ended: int = 0
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        """The mean as it is expected now. A phone in flight takes at least what it has taken: to count only those that
        are done would count only the quick ones."""
        running = sum(max(self.expected, seconds) for seconds in self.running)
        known = KNOWN * self.expected + self.seconds + running
        return known / (KNOWN + self.ended + len(self.running))

    @property
    def work(self) -> float:
        """The seconds for which the phones in flight still need their places."""
        mean = self.mean
        return sum(max(mean - seconds, (self.longest - seconds) / 2, 0.0) for seconds in self.running)


def end(now: int, times: Iterable[TypeTimes], limits: RolloutLimits, unreached: float) -> int:
    """Return when the last of these phones has ended (epoch seconds), if they are admitted longest first.

    ``unreached``: the share of phones that do not come; each of them holds its place for ``contact_seconds``. Phones by
    authentication string wait for people and are not among ``times``. For a pilot that goes first, call this for the
    pilot, and with the result as ``now`` for the others.
    """
    known = sorted(times, key=lambda one: one.mean, reverse=True)
    return now + round(max((*_running(known, limits, unreached), *_waiting(known, limits, unreached)), default=0))


def _running(known: Sequence[TypeTimes], limits: RolloutLimits, unreached: float) -> Iterator[float]:
    """Yield for each device type when the last of its phones in flight ends, in seconds from now."""
    for one in known:
        if one.running:
            youngest, longest = min(one.running), max(one.longest, one.mean)
            yield max(longest - youngest, 0.0)
            if unreached * len(one.running) >= _SOME:
                yield max(limits.contact_seconds - youngest, 0.0)


def _waiting(known: Sequence[TypeTimes], limits: RolloutLimits, unreached: float) -> Iterator[float]:
    """Yield for each device type when the last of its waiting phones ends, in seconds from now.

    The last one is admitted when the work before it leaves its place free: all work so far, divided by the places,
    less what the phones in flight at that time still have in front of them.
    """
    contact = limits.contact_seconds
    work = sum(one.work for one in known)
    number = 0
    for one in known:
        if not one.waiting:
            continue
        mean = (1 - unreached) * one.mean + unreached * contact
        square = (1 - unreached) * one.mean**2 + unreached * contact**2
        work += one.waiting * mean
        number += one.waiting
        resets = number * 60 / limits.resets_per_minute if limits.resets_per_minute else 0.0
        admitted = max(work / limits.in_flight - square / (2 * mean), resets, 0.0)
        absent = unreached * min(one.waiting, limits.in_flight) >= _SOME
        yield admitted + max(one.longest, one.mean, contact if absent else 0)
