# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The places of a rolling rollout: when a phone's place becomes free, and which phones may take the free ones (P71)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.policy.observed import Candidate, InFlight, PhoneOutcome, RolloutLimits, View

LOOK_AHEAD = 1000
"""A decision skips at most this number of phones that do not fit: it must not cost more the more phones wait. Only if
nothing is in flight, it searches all of them for one that fits."""
_SMALL = 10
"""While the pilot is not judged, others begin with this part of the places (a tenth)."""


def outcome(phone: InFlight, limits: RolloutLimits, now: int) -> PhoneOutcome | None:
    """Return how the phone's place becomes free ``now`` (epoch seconds); None if the phone keeps it.

    A phone that was not restarted yet keeps it: nothing could have come from it. A session that is open is never cut
    off by a time limit.
    """
    if phone.restarted_at is None:
        return None
    if phone.installed_at is not None:
        return _after_install(phone, phone.installed_at, limits, now)
    if phone.failed:
        return PhoneOutcome.FAILED
    return None if phone.in_session else _without_lsc(phone, limits, now - phone.restarted_at, now)


def _after_install(phone: InFlight, installed_at: int, limits: RolloutLimits, now: int) -> PhoneOutcome | None:
    if phone.registered is not False:
        return PhoneOutcome.DONE
    return PhoneOutcome.FAILED if now - installed_at >= limits.registration_seconds else None


def _without_lsc(phone: InFlight, limits: RolloutLimits, since: int, now: int) -> PhoneOutcome | None:
    """Return the outcome of a phone that has no LSC ``since`` seconds after its restart, and is in no session."""
    if phone.by_string:
        # A refusal only says that a person, or somebody else, entered a wrong string; there is time to enter it again.
        came, allowed = phone.seen_at is not None, limits.string_seconds
    elif phone.refused_at is not None and now - phone.refused_at >= limits.refused_seconds:
        return PhoneOutcome.FAILED
    else:
        came = phone.seen_at is not None or phone.refused_at is not None
        allowed = limits.phone_seconds if came else limits.contact_seconds
    if since < allowed:
        return None
    return PhoneOutcome.FAILED if came else PhoneOutcome.UNREACHED


@dataclass(slots=True)
class Room:
    """What is free now: ``places``, ``strings`` (phones by authentication string), ``resets`` (within this minute),
    ``seconds`` until the window closes, and ``taken``, the phones in flight of each site.

    ``resets`` and ``seconds`` are None if they have no limit. ``sizes`` and ``share`` limit ``taken``.
    """

    places: int
    strings: int
    resets: int | None
    seconds: int | None
    taken: Counter[str]
    sizes: Mapping[str, int]
    share: Amount

    @property
    def is_used_up(self) -> bool:
        """True if no phone at all can be admitted."""
        return (self.places <= 0 and self.strings <= 0) or (self.resets is not None and self.resets <= 0)

    def is_full(self, site: str) -> bool:
        """Return whether the site has its share in flight: at least one phone, and its part rounded up."""
        return bool(site) and self.taken[site] >= max(1, self.share.size(self.sizes.get(site, 0)))

    def fits(self, phone: Candidate) -> bool:
        """Return whether the phone may be admitted."""
        free = self.strings if phone.by_string else self.places
        in_time = self.seconds is None or phone.seconds <= self.seconds
        return not self.is_used_up and free > 0 and in_time and not self.is_full(phone.site)

    def take(self, phone: Candidate) -> None:
        """Count the phone as admitted."""
        if phone.by_string:
            self.strings -= 1
        else:
            self.places -= 1
        if self.resets is not None:
            self.resets -= 1
        self.taken[phone.site] += 1


def room(view: View, limits: RolloutLimits) -> Room:
    """Return what is free now; phones in flight whose outcome is due hold nothing.

    A caller that has its candidates in a database leaves out those that do not fit: by ``seconds``, by the sites in
    ``taken`` that are full, and by ``places`` and ``strings``.
    """
    holding = [phone for phone in view.in_flight if outcome(phone, limits, view.now) is None]
    return room_beside(holding, view, limits)


def room_beside(holding: Sequence[InFlight], view: View, limits: RolloutLimits) -> Room:
    """Return what is free now beside these phones in flight, none of which has an outcome."""
    strings = sum(phone.by_string for phone in holding)
    # A phone that waits for its reset will use one of this minute's or the next one's.
    resets = view.resets + sum(phone.restarted_at is None for phone in holding)
    return Room(
        places=limits.in_flight - (len(holding) - strings),
        strings=limits.waiting_strings - strings,
        resets=limits.resets_per_minute - resets if limits.resets_per_minute else None,
        seconds=None if view.ends_at is None else view.ends_at - view.now,
        taken=Counter(phone.site for phone in holding),
        sizes=view.site_sizes,
        share=limits.site_share,
    )


def room_beside_pilot(view: View, limits: RolloutLimits, free: Room) -> Room:
    """Return the part of the free room that phones outside the pilot may take while the pilot is not judged.

    They begin with a tenth of the places, at least one; the rest follows as the pilot's phones are done.
    """
    done = view.pilot.totals.get(PhoneOutcome.DONE, 0) / max(1, view.pilot.size)
    others = [phone.by_string for phone in view.in_flight if not phone.pilot]
    places = min(free.places, _window(limits.in_flight, done) - others.count(False))
    strings = min(free.strings, _window(limits.waiting_strings, done) - others.count(True))
    return replace(free, places=places, strings=strings)


def _window(limit: int, done: float) -> int:
    small = max(1, limit // _SMALL)
    return min(limit, small + math.floor((limit - small) * done))


def is_early(view: View) -> bool:
    """Return whether the window has not opened yet."""
    return view.starts_at is not None and view.now < view.starts_at


def admit(free: Room, candidates: Iterator[Candidate], *, until_one_fits: bool = False) -> list[str]:
    """Take from the candidates those that fit into the free room, and return their names.

    At most ``LOOK_AHEAD`` that do not fit are skipped; with ``until_one_fits``, the first one is searched among all.
    """
    names: list[str] = []
    skipped = 0
    while not free.is_used_up and (skipped < LOOK_AHEAD or (until_one_fits and not names)):
        phone = next(candidates, None)
        if phone is None:
            break
        if free.fits(phone):
            free.take(phone)
            names.append(phone.name)
        else:
            skipped += 1
    return names
