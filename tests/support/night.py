# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A night's rollout in virtual time: a fleet of phones, and the server's own policy that decides about them (P71, P73).

The world is simulated; the decisions are ``policy.decision.decide``, called at every second at which something happens.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from capf.registry.rollout import order
from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.policy import estimate, judging, places
from capf.registry.rollout.policy.decision import NO_RESETS, decide
from capf.registry.rollout.policy.observed import (
    Candidate,
    Decision,
    Ended,
    InFlight,
    PhoneOutcome,
    Pilot,
    RolloutLimits,
    View,
)
from capf.registry.rollout.settings import RESET_SECONDS

KEY_MINUTES = 30
WAVE_SECONDS = RESET_SECONDS + 60 * KEY_MINUTES
"""The time of a wave, as the settings compute it from Maximum Allowable Time For Key Generation."""
RESET, SESSION = 5, 5
"""Seconds from a phone's admission to its restart, and of a session without the time for its key."""
OFF, OLD = 0.03, 0.2
NEW_TYPES = {
    "Cisco 8845": (120, 5, 20),
    "Cisco 8865": (125, 5, 25),
    "Cisco 7841": (135, 15, 50),
    "Cisco 7821": (150, 20, 60),
}
OLD_TYPES = {
    "Cisco 7911": (150, 120, 400),
    "Cisco 7941": (155, 400, 680),
    "Cisco 7942": (160, 680, 960),
    "Cisco 7961": (165, 960, 1240),
    "Cisco 7940": (170, 1240, 1520),
    "Cisco 7960": (180, 1520, 1800),
}
"""By device type: seconds of its boot, and the range of those for its key."""
MEASURED = 100
"""Phones of each device type that an earlier rollout measured."""


@dataclass(frozen=True, slots=True)
class Phone:
    """``seconds``: from its admission until it is done; ``off``: nobody is there."""

    name: str
    site: str
    kind: str
    seconds: int
    off: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """Phones in the order of the list, with what is known of each device type before: mean and 95th percentile."""

    phones: Sequence[Phone]
    known: dict[str, tuple[float, int]]

    @property
    def site_sizes(self) -> Counter[str]:
        """The phones of each site."""
        return Counter(phone.site for phone in self.phones)


def make_fleet(size: int, old: float, seed: int = 14) -> Fleet:
    """Return a fleet with this share of old phones, in sites of 20 to 400."""
    chance, phones, site, room = random.Random(seed), list[Phone](), 0, 0
    for number in range(size):
        if not room:
            site, room = site + 1, chance.randint(20, 400)
        room -= 1
        kind = chance.choice(list(OLD_TYPES if chance.random() < old else NEW_TYPES))
        phones.append(Phone(f"SEP{number:012X}", f"site {site}", kind, _seconds(kind, chance), chance.random() < OFF))
    chance.shuffle(phones)
    return Fleet(phones, {kind: _measure(kind, chance) for kind in NEW_TYPES | OLD_TYPES})


def _seconds(kind: str, chance: random.Random) -> int:
    boot, quickest, slowest = (NEW_TYPES | OLD_TYPES)[kind]
    return RESET + boot + chance.randint(quickest, slowest) + SESSION


def _measure(kind: str, chance: random.Random) -> tuple[float, int]:
    """Return what an earlier rollout measured of other phones of the type: the mean and the 95th percentile."""
    measured = sorted(_seconds(kind, chance) for _unused in range(MEASURED))
    return sum(measured) / MEASURED, measured[math.ceil(MEASURED * 0.95) - 1]


def make_limits(in_flight: int, overlap: bool = False) -> RolloutLimits:
    """Return the limits of the night: half of a site, ten resets a second."""
    return RolloutLimits(
        in_flight=in_flight, contact_seconds=300, refused_seconds=120, phone_seconds=WAVE_SECONDS,
        string_seconds=WAVE_SECONDS, registration_seconds=300, waiting_strings=0, site_share=Amount(50, share=True),
        resets_per_minute=600, judged_last=50, failure_limit=Amount(10, share=True),
        unreached_limit=Amount(20, share=True), pilot_failure_limit=Amount(10, share=True), overlap=overlap,
    )  # fmt: skip


def held(phone: Phone, limits: RolloutLimits) -> int:
    """Return the seconds for which a phone holds its place."""
    return RESET + limits.contact_seconds if phone.off else phone.seconds


def waves_seconds(fleet: Fleet, size: int) -> int:
    """Return the seconds of a rollout in waves: each lasts until its slowest phone is done, or its time is over."""
    site_of, by_name = {one.name: one.site for one in fleet.phones}, {one.name: one for one in fleet.phones}
    waves = order.cut(order.spread([one.name for one in fleet.phones], site_of), site_of, fleet.site_sizes, 0, size)
    return sum(
        max(WAVE_SECONDS if by_name[name].off else min(WAVE_SECONDS, by_name[name].seconds) for name in wave)
        for wave in waves
    )


def work_seconds(fleet: Fleet, limits: RolloutLimits) -> float:
    """Return the seconds that the work takes if no place is ever empty, or that the resets take if that is more."""
    work = sum(held(phone, limits) for phone in fleet.phones) / limits.in_flight
    return max(work, len(fleet.phones) * 60 / limits.resets_per_minute)


def longest_seconds(fleet: Fleet, limits: RolloutLimits) -> int:
    """Return the longest time for which a phone holds its place."""
    return max(held(phone, limits) for phone in fleet.phones)


@dataclass(slots=True)
class Night:
    """A rollout that runs in virtual time from second 0."""

    fleet: Fleet
    limits: RolloutLimits
    pilot_size: int = 0
    now: int = 0
    pilot_ended: int = 0
    flying: dict[str, InFlight] = field(default_factory=dict)
    pilot: Pilot = field(default_factory=Pilot)
    totals: Counter[PhoneOutcome] = field(default_factory=Counter)
    estimates: list[tuple[int, int]] = field(default_factory=list)
    problem: str = ""
    _phones: dict[str, Phone] = field(init=False)
    _queues: tuple[list[Phone], list[Phone]] = field(init=False)
    _admitted: set[str] = field(default_factory=set)
    _recent: deque[PhoneOutcome] = field(init=False)
    _events: list[tuple[int, int, str]] = field(default_factory=list)
    _restarts: deque[int] = field(default_factory=deque)
    _done: dict[str, list[int]] = field(default_factory=dict)
    _sizes: Counter[str] = field(init=False)
    _first: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._phones = {phone.name: phone for phone in self.fleet.phones}
        self._sizes = self.fleet.site_sizes
        first, others = self.fleet.phones[: self.pilot_size], self.fleet.phones[self.pilot_size :]
        self._first = frozenset(phone.name for phone in first)
        self._queues = self._longest_first(first), self._longest_first(others)
        self._recent = deque(maxlen=judging.sample(self.limits))
        self._done = {kind: [] for kind in self.fleet.known}
        if self.pilot_size:
            self.pilot = Pilot(size=self.pilot_size, waiting=self.pilot_size, judged=False)

    def _longest_first(self, phones: Sequence[Phone]) -> list[Phone]:
        """Return the phones in the reverse order of their admission, so that the next one is the last of the list."""
        return sorted(phones, key=lambda phone: -self.fleet.known[phone.kind][0])[::-1]

    def run(self) -> int:
        """Run until the rollout ends, and return the seconds; ``problem`` says why it paused or stopped."""
        while True:
            view = self.view()
            decision = decide(view, self.limits, self._offer(0, view), self._offer(1, view))
            self._apply(decision)
            if decision.state or decision.pause:
                self.problem = decision.why or decision.pause
                return self.now
            self._estimate()
            self._wait(decision)

    def view(self) -> View:
        """Return what is recorded and observed now."""
        while self._restarts and self._restarts[0] <= self.now - 60:
            self._restarts.popleft()
        waiting = len(self.fleet.phones) - len(self._admitted) - self.pilot.waiting
        return View(
            now=self.now, phones=len(self.fleet.phones), waiting=waiting, in_flight=list(self.flying.values()),
            ended=Ended(list(self._recent), self.totals), pilot=self.pilot, resets=len(self._restarts),
            site_sizes=self._sizes,
        )  # fmt: skip

    def _offer(self, which: int, view: View) -> Iterator[Candidate]:
        """Yield the waiting phones of the pilot (0) or the others (1) whose site has not its share in flight."""
        queue = self._queues[which]
        while queue and queue[-1].name in self._admitted:
            queue.pop()
        room = places.room(view, self.limits) if queue else None
        for phone in reversed(queue):
            if room and phone.name not in self._admitted and not room.is_full(phone.site):
                yield Candidate(phone.name, phone.site, self.fleet.known[phone.kind][1])

    def _apply(self, decision: Decision) -> None:
        for name, how in decision.ended:
            self._end(self.flying.pop(name), how)
        if decision.judge_pilot:
            self.pilot, self.pilot_ended = replace(self.pilot, judged=True), self.now
        for name in decision.admit:
            self._admit(self._phones[name])

    def _end(self, flown: InFlight, how: PhoneOutcome) -> None:
        self.totals[how] += 1
        self._recent.append(how)
        if how is PhoneOutcome.DONE:
            self._done[self._phones[flown.name].kind].append(self.now - flown.admitted_at)
        if flown.pilot:
            totals = Counter(self.pilot.totals) + Counter([how])
            self.pilot = replace(self.pilot, totals=totals, in_flight=self.pilot.in_flight - 1)

    def _admit(self, phone: Phone) -> None:
        in_pilot = phone.name in self._first
        if in_pilot:
            self.pilot = replace(self.pilot, waiting=self.pilot.waiting - 1, in_flight=self.pilot.in_flight + 1)
        self._admitted.add(phone.name)
        self.flying[phone.name] = InFlight(phone.name, phone.site, self.now, pilot=in_pilot)
        boot = (NEW_TYPES | OLD_TYPES)[phone.kind][0]
        times = (RESET, RESET + self.limits.contact_seconds) if phone.off else (RESET, RESET + boot, phone.seconds)
        for step, seconds in enumerate(times):
            heapq.heappush(self._events, (self.now + seconds, step, phone.name))

    def _wait(self, decision: Decision) -> None:
        """Go to the next second at which there is something to decide: a place becomes free, or resets may."""
        soon = self.now + 1 if decision.waits == NO_RESETS or self._may_admit() else None
        while self._events:
            self.now = self._events[0][0]
            if soon is not None and self.now >= soon:
                self.now = soon
            decides = soon == self.now
            while self._events and self._events[0][0] == self.now:
                _at, step, name = heapq.heappop(self._events)
                decides |= self._happens(step, name)
            if decides:
                return

    def _may_admit(self) -> bool:
        """Return whether phones wait although places are free."""
        return len(self._admitted) < len(self.fleet.phones) and len(self.flying) < self.limits.in_flight

    def _happens(self, step: int, name: str) -> bool:
        """Let the phone do its next step, and return whether there is something to decide."""
        flown, off = self.flying[name], self._phones[name].off
        if step == 0:
            self.flying[name] = replace(flown, restarted_at=self.now)
            self._restarts.append(self.now)
        elif step == 1 and not off:
            self.flying[name] = replace(flown, seen_at=self.now)
        elif step == 2:
            self.flying[name] = replace(flown, installed_at=self.now)
        return step == 2 or (step == 1 and off)

    def _estimate(self) -> None:
        """Note every minute when the rollout is expected to end."""
        if self.estimates and self.now < self.estimates[-1][0] + 60:
            return
        running, ended = dict[str, list[int]](), self.totals.total()
        for flown in self.flying.values():
            running.setdefault(self._phones[flown.name].kind, []).append(self.now - flown.admitted_at)
        waiting = Counter(phone.kind for queue in self._queues for phone in queue if phone.name not in self._admitted)
        times = [
            estimate.TypeTimes(mean, longest, waiting[kind], running.get(kind, ()), len(done), sum(done))
            for kind, (mean, longest) in self.fleet.known.items()
            for done in (self._done[kind],)
        ]
        reached = ended + sum(flown.seen_at is not None for flown in self.flying.values())
        unreached = self.totals[PhoneOutcome.UNREACHED] / max(1, reached)
        self.estimates.append((self.now, estimate.end(self.now, times, self.limits, unreached)))

    def errors(self) -> list[float]:
        """Return the errors of the estimate at 10, 50 and 90 % of the way, as parts of the whole; it is over."""
        found = []
        for part in (0.1, 0.5, 0.9):
            _at, expected = [one for one in self.estimates if one[0] <= part * self.now][-1]
            found.append(abs(expected - self.now) / self.now)
        return found
