# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the policy of a rolling rollout knows: its limits, its phones, and what has ended. Times are epoch seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from capf.registry.rollout.amounts import Amount


class PhoneOutcome(StrEnum):
    """How a phone's place became free, in the words of the parts of a rollout."""

    DONE = "done"
    FAILED = "failed"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """The settings that pace and judge a rolling rollout.

    ``in_flight``: phones that hold a place at once. ``contact_seconds``: from a phone's restart until it has to be
    seen. ``refused_seconds``: from a phone's first refusal until it counts as failed. ``phone_seconds``: from a phone's
    restart until it counts as failed if it came and has no LSC. ``string_seconds``: the same for phones by
    authentication string, which need a person. ``registration_seconds``: from the LSC until the phone has to be
    registered. ``waiting_strings``: phones by string at once, which hold no place. ``site_share``: phones of a site at
    once. ``resets_per_minute``: 0 means no limit. ``judged_last``: the least number of ended phones on which failures
    are judged; it is ``in_flight`` if that is more. ``overlap``: whether others begin, in a small window that grows,
    while the pilot is not judged.
    """

    in_flight: int
    contact_seconds: int
    refused_seconds: int
    phone_seconds: int
    string_seconds: int
    registration_seconds: int
    waiting_strings: int
    site_share: Amount
    resets_per_minute: int
    judged_last: int
    failure_limit: Amount
    unreached_limit: Amount
    pilot_failure_limit: Amount
    overlap: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting phone. ``seconds``: how long it may take (95th percentile, or the longest allowed)."""

    name: str
    site: str
    seconds: int
    by_string: bool = False


@dataclass(frozen=True, slots=True)
class InFlight:
    """A phone whose operation the rollout has scheduled, and which has no outcome yet.

    ``restarted_at``: the end of its reset, or when its operation was scheduled if nothing resets it; None before that.
    ``seen_at``: when it first fetched a file or opened a session since. ``refused_at``: its first refusal since.
    ``installed_at``: it has its LSC. ``registered``: None if registration is not checked. ``failed``: its operation
    ended without LSC. ``pilot``: it belongs to the pilot.
    """

    name: str
    site: str
    admitted_at: int
    by_string: bool = False
    restarted_at: int | None = None
    seen_at: int | None = None
    refused_at: int | None = None
    installed_at: int | None = None
    registered: bool | None = None
    failed: bool = False
    in_session: bool = False
    pilot: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcomes that count: ``recent`` are the last ones in the order of their end, at least as many as
    ``judging.sample`` says; ``totals`` are all of them.

    Both since the rollout began or was resumed by a person after a pause.
    """

    recent: Sequence[PhoneOutcome] = ()
    totals: Mapping[PhoneOutcome, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Pilot:
    """The pilot: its phones, those waiting and in flight, its outcomes, and whether it was judged."""

    size: int = 0
    waiting: int = 0
    in_flight: int = 0
    totals: Mapping[PhoneOutcome, int] = field(default_factory=Counter)
    judged: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """What is recorded and observed of a running rollout. ``attended``: a run watches it, or nobody has to.

    ``paused``: a person or a decision has paused it. ``phones``: number of all phones of the rollout. ``waiting``:
    number of those that wait, without the pilot's. ``site_sizes``: registered phones of each site; those of the site ""
    have no limit. ``resets``: phones whose reset ended within the last minute. ``addresses``: where the refusals of
    recently failed phones came from, the commonest first.
    """

    now: int
    phones: int
    waiting: int
    in_flight: Sequence[InFlight]
    ended: Ended = Ended()
    pilot: Pilot = Pilot()
    starts_at: int | None = None
    ends_at: int | None = None
    attended: bool = True
    paused: bool = False
    resets: int = 0
    site_sizes: Mapping[str, int] = field(default_factory=dict)
    addresses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. ``ended``: phones whose place is free, with the outcome. ``admit``: phones to admit.

    ``pause``: why no phone is admitted until a person resumes the rollout. ``judge_pilot``: the pilot passed.
    ``state``: ``done`` or ``stopped`` if the rollout ends, with ``why``. ``waits``: why nothing is admitted if that is
    not because all places are taken.
    """

    ended: Sequence[tuple[str, PhoneOutcome]] = ()
    admit: Sequence[str] = ()
    pause: str = ""
    judge_pilot: bool = False
    state: str = ""
    why: str = ""
    waits: str = ""
