# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a rollout: which phones need an LSC, in which waves, and whether these fit into the window (R16)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection

from capf.model import AuthenticationMode, Operation
from capf.registry import moment, schedule
from capf.registry.rollout import order, turns
from capf.registry.rollout import settings as settings_of
from capf.registry.rollout.settings import NO_SITES, RolloutSettings, seconds
from capf.registry.transaction import Transaction
from capf.store import rollout_rows, rows
from capf.store.schema import PhoneRow

PILOT, WAVE, RETRY, ROLLING = "pilot", "wave", "retry", "rolling"
"""The kinds of waves; a rolling one has all phones that the server admits one after the other."""
_NAMED = 5
MAY_NOT_FIT = (
    "the phones may not all fit into the window, if each takes as long as it may;"
    " a phone is only admitted if it can still be done in the window"
)


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """The request of a run.

    ``phones``: device names, in the order in which they should get their LSC. ``modes_after``: the Device Security Mode
    that a phone gets once it has its LSC. ``strings``: the given authentication strings of phones; a plan only checks
    them, and each wave sends them again. ``early``: whether the rollout may begin before its window opens. ``dry_run``:
    the caller rolls back all changes. ``rollout_id``: the rollout that the run has waited for; the run resumes this one
    and begins no other.
    """

    name: str
    runner: str
    phones: Sequence[str]
    settings: RolloutSettings
    modes_after: Mapping[str, str] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict, repr=False)
    early: bool = True
    dry_run: bool = False
    rollout_id: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedWave:
    """A wave and its phones."""

    number: int
    kind: str
    phones: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The waves, the skipped phones with the reason, and the latest end without retries.

    ``resumed``: these are the remaining waves of a resumed rollout. ``seconds``: the time that each phone of a rolling
    rollout may take; ``by_string``: those of its phones that authenticate by string.
    """

    waves: list[PlannedWave]
    skipped: Mapping[str, list[str]]
    warnings: list[str]
    starts_at: int
    latest_end: int
    ends_at: int | None
    resumed: bool = False
    seconds: Mapping[str, int] = field(default_factory=dict)
    by_string: Collection[str] = ()


def make(tx: Transaction, request: RolloutRequest) -> Plan:
    """Return the plan and change nothing; InvalidRequestError names every phone that cannot be scheduled."""
    settings, now = request.settings, tx.now
    known = rows.phones_of(tx.connection, request.phones)
    planned = schedule.make_plan(tx, installation(settings, known, request.phones, request.strings))
    wanted_now = {*planned.scheduled, *planned.pending}
    names = [name for name in request.phones if name in wanted_now]
    starts_at = max(now, settings.window_start or 0)
    modes = {name: known[name].authentication_mode for name in names}
    if settings.strategy == settings_of.ROLLING:
        arranged = turns.arrange(tx, {name: known[name] for name in names}, settings)
        return rolling(arranged, settings, starts_at, planned)
    waves = _waves(tx.connection, {name: known[name] for name in names}, settings, starts_at)
    lasting = [seconds(settings, map(modes.__getitem__, wave.phones)) for wave in waves]
    warnings = [*planned.warnings, *fit(lasting, starts_at, settings.window_end)]
    return Plan(waves, planned.skipped, warnings, starts_at, starts_at + sum(lasting), settings.window_end)


def rolling(arranged: turns.Turns, settings: RolloutSettings, starts_at: int, planned: schedule.Scheduled) -> Plan:
    """Return the plan of a rolling rollout with these turns: the pilot, if there is one, and all others."""
    kinds = [(PILOT, arranged.pilot), (ROLLING, arranged.others)]
    waves = [PlannedWave(at, *item) for at, item in enumerate((item for item in kinds if item[1]), start=1)]
    count = len(arranged.pilot) + len(arranged.others)
    latest = starts_at + arranged.latest(max(1, settings.in_flight.size(count)))
    warnings = [*planned.warnings]
    if settings.window_end is not None and latest > settings.window_end:
        warnings.append(MAY_NOT_FIT)
    return Plan(
        waves,
        planned.skipped,
        warnings,
        starts_at,
        latest,
        settings.window_end,
        seconds=arranged.seconds,
        by_string=arranged.by_string,
    )


def installation(
    settings: RolloutSettings, known: Mapping[str, PhoneRow], names: Sequence[str], strings: Mapping[str, str]
) -> schedule.OperationRequest:
    """Return the request that schedules the phones of a rollout; ``strings`` are the given authentication strings."""
    return schedule.OperationRequest(
        operation=Operation.INSTALL,
        items=_items(known, names, strings),
        completes_by=settings.window_end,
        renew_before=settings.renew_before,
        force=settings.force,
        cautious=True,
        known=known,
    )


def _items(
    known: Mapping[str, PhoneRow], names: Sequence[str], strings: Mapping[str, str]
) -> list[schedule.RequestedPhone]:
    """Return the phones in the form in which they are scheduled; those that authenticate by string have their given
    string."""
    by_string = {name for name, row in known.items() if row.authentication_mode == AuthenticationMode.STRING}
    return [schedule.RequestedPhone(name, string=strings.get(name) if name in by_string else None) for name in names]


def fit(lasting: Sequence[int], starts_at: int, ends_at: int | None) -> list[str]:
    """Return a warning if waves of this many seconds may not all fit into the window."""
    if ends_at is None or starts_at + sum(lasting) <= ends_at:
        return []
    fitting = sum(starts_at + end <= ends_at for end in accumulate(lasting))
    return [
        f"{fitting} of {len(lasting)} waves will certainly fit into the window;"
        " the others are started only if a whole wave still fits"
    ]


def _waves(
    connection: Connection, known: Mapping[str, PhoneRow], settings: RolloutSettings, starts_at: int
) -> list[PlannedWave]:
    by, count = settings.spread_by, len(known)
    site_of = dict.fromkeys(known, "") if by == NO_SITES else rollout_rows.sites_of(connection, list(known), by)
    site_sizes = {"": 0} if by == NO_SITES else rollout_rows.count_sites(connection, by)
    longest = seconds(settings, (row.authentication_mode for row in known.values()))
    pilot = settings.pilot_size.size(count)
    size = min(_wave_size(count - pilot, settings, starts_at, longest, pilot), settings.open_sessions)
    pilot = min(pilot, settings.open_sessions)
    waves = order.cut(order.spread(list(known), site_of), site_of, site_sizes, pilot, max(1, size))
    return [
        PlannedWave(number, PILOT if pilot and number == 1 else WAVE, names)
        for number, names in enumerate(waves, start=1)
    ]


def _wave_size(count: int, settings: RolloutSettings, starts_at: int, longest: int, pilot: int) -> int:
    """Return the configured size, or the smallest with which all waves and one for retries fit, if each of them lasts
    as long as the ``longest``."""
    if settings.wave_size is not None:
        return settings.wave_size.size(count)
    window = (settings.window_end or starts_at) - starts_at
    room = window // longest - (1 if pilot else 0) - (1 if settings.retries else 0)
    return math.ceil(count / max(1, room))


def some(names: Iterable[str]) -> str:
    """Return the first few of the names, for a message about all of them."""
    return ", ".join(sorted(names)[:_NAMED])


def show(plan: Plan, now: int) -> dict[str, Any]:
    """Return the plan as the API shows it."""
    return {
        "waves": [{"number": wave.number, "kind": wave.kind, "phones": wave.phones} for wave in plan.waves],
        "skipped": dict(plan.skipped),
        "warnings": plan.warnings,
        "starts_at": moment.show(plan.starts_at),
        "starts_in_seconds": max(0, plan.starts_at - now),
        "latest_end": moment.show(plan.latest_end),
        "window_end": moment.show(plan.ends_at),
    }
