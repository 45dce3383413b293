# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the policy of a rolling rollout has to know, from the record (P70)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from capf.model import AuthenticationMode, State
from capf.registry import lifecycle
from capf.registry.rollout import lease, plan, settings
from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.policy import judging, places
from capf.registry.rollout.policy.observed import (
    Candidate,
    Ended,
    InFlight,
    PhoneOutcome,
    Pilot,
    RolloutLimits,
    View,
)
from capf.registry.rollout.settings import RolloutSettings
from capf.registry.transaction import Transaction
from capf.store import rolling_rows, rollout_rows, rows
from capf.store.rolling_rows import FlightRow
from capf.store.schema import RolloutRow, WaveRow

_ADDRESSES = 3
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """A rollout as the policy sees it; ``pilot`` and ``others`` are the numbers of its waves."""

    connection: Connection
    rollout: RolloutRow
    limits: RolloutLimits
    view: View
    site_field: str
    without_sites: bool
    pilot: tuple[int, ...]
    others: tuple[int, ...]

    def candidates(self, waves: Sequence[int]) -> Iterator[Candidate]:
        """Yield the waiting phones of these waves that may be admitted, those by string last."""
        room = places.room(self.view, self.limits)
        full = {site for site in room.taken if room.is_full(site)}
        kinds = [by_string for by_string, free in ((False, room.places), (True, room.strings)) if free > 0]
        for wave in waves:
            for by_string in kinds:
                for row in rolling_rows.waiting(
                    self.connection, self.rollout.id, wave, self.site_field, by_string=by_string, without=full
                ):
                    site = "" if self.without_sites else row.site or ""
                    yield Candidate(row.device_name, site, row.expected_seconds, by_string=row.by_string)


def settings_of(rollout: RolloutRow) -> RolloutSettings:
    """Return the settings with which a rollout began."""
    return settings.from_record(rollout_rows.settings_of(rollout))


def site_field(wanted: RolloutSettings) -> str:
    """Return the column with a phone's site."""
    return "device_pool" if wanted.spread_by == settings.NO_SITES else wanted.spread_by


def limits_of(connection: Connection, rollout: RolloutRow) -> RolloutLimits:
    """Return the limits of a rollout."""
    return _limits(settings_of(rollout), _count(rollout_rows.waves(connection, rollout.id)))


def _count(waves: Sequence[WaveRow]) -> int:
    """Return the number of phones of a rollout."""
    return sum(wave.phones for wave in waves if wave.kind != plan.RETRY)


def scene(tx: Transaction, rollout: RolloutRow, *, registration: bool) -> Scene:
    """Return the rollout as the policy sees it now; ``registration``: whether the server checks registration."""
    wanted, waves = settings_of(rollout), rollout_rows.waves(tx.connection, rollout.id)
    limits = _limits(wanted, _count(waves))
    return Scene(
        connection=tx.connection,
        rollout=rollout,
        limits=limits,
        view=_view(tx, rollout, wanted, waves, limits, registration=registration),
        site_field=site_field(wanted),
        without_sites=wanted.spread_by == settings.NO_SITES,
        pilot=tuple(wave.number for wave in waves if wave.kind == plan.PILOT),
        others=tuple(wave.number for wave in waves if wave.kind != plan.PILOT),
    )


def _limits(wanted: RolloutSettings, phones_in_all: int) -> RolloutLimits:
    """Return the settings in the form of the policy; a share of the phones in flight is a share of the rollout's."""
    return RolloutLimits(
        in_flight=max(1, wanted.in_flight.size(phones_in_all)),
        contact_seconds=wanted.contact_seconds,
        refused_seconds=wanted.refused_seconds,
        phone_seconds=wanted.wave_seconds,
        string_seconds=max(wanted.wave_seconds, wanted.string_seconds),
        registration_seconds=wanted.registration_seconds,
        waiting_strings=wanted.waiting_strings,
        site_share=Amount(wanted.site_share, share=True),
        resets_per_minute=wanted.resets_per_minute if wanted.reset else 0,
        judged_last=wanted.judged_last,
        failure_limit=wanted.failure_limit,
        unreached_limit=wanted.unreached_limit,
        pilot_failure_limit=wanted.pilot_failure_limit,
        overlap=wanted.pilot == settings.OVERLAP,
    )


def _view(
    tx: Transaction,
    rollout: RolloutRow,
    wanted: RolloutSettings,
    waves: Sequence[WaveRow],
    limits: RolloutLimits,
    *,
    registration: bool,
) -> View:
    connection, by = tx.connection, site_field(wanted)
    waits = rolling_rows.count_waiting(connection, rollout.id)
    flying = rolling_rows.in_flight(connection, rollout.id, by)
    counted = rolling_rows.outcomes(connection, rollout)
    recent = rolling_rows.recent_outcomes(connection, rollout, judging.sample(limits))
    pilot = next((wave for wave in waves if wave.kind == plan.PILOT), None)
    number = 0 if pilot is None else pilot.number
    sites = {} if wanted.spread_by == settings.NO_SITES else rollout_rows.count_sites(connection, by)
    return View(
        now=tx.now,
        phones=_count(waves),
        waiting=sum(number for wave, number in waits.items() if pilot is None or wave != pilot.number),
        in_flight=[_of_flight(row, wanted, number, registration=registration) for row in flying],
        ended=Ended([PhoneOutcome(item) for item in recent], totals_of(counted)),
        pilot=_pilot(pilot, waits, flying, counted),
        starts_at=rollout.starts_at,
        ends_at=rollout.ends_at,
        attended=lease.is_attended(tx, rollout, unattended=wanted.unattended),
        paused=rollout.paused_at is not None,
        resets=rolling_rows.count_resets(connection, rollout.id, tx.now - _MINUTE) if wanted.resets_per_minute else 0,
        site_sizes=sites,
        addresses=rolling_rows.refused_from(connection, rollout, _ADDRESSES),
    )


def totals_of(counted: Mapping[tuple[int, str], int]) -> Counter[PhoneOutcome]:
    """Return the number of each outcome in all waves; ``counted``: by wave and outcome (``rolling_rows.outcomes``)."""
    totals: Counter[PhoneOutcome] = Counter()
    for (_wave, outcome), number in counted.items():
        totals[PhoneOutcome(outcome)] += number
    return totals


def _pilot(
    wave: WaveRow | None,
    waits: Mapping[int, int],
    flying: Sequence[FlightRow],
    counted: Mapping[tuple[int, str], int],
) -> Pilot:
    if wave is None:
        return Pilot()
    totals = Counter({outcome: counted.get((wave.number, outcome.value), 0) for outcome in PhoneOutcome})
    flies = sum(row.wave == wave.number for row in flying)
    return Pilot(wave.phones, waits.get(wave.number, 0), flies, totals, judged=wave.judged_at is not None)


def _of_flight(row: FlightRow, wanted: RolloutSettings, pilot: int, *, registration: bool) -> InFlight:
    """Return a phone in flight as the policy sees it: when it restarted, was seen and got its LSC."""
    in_session = lifecycle.in_session(row)
    seen = seen_at(row, in_session=in_session)
    installed = row.state == State.DONE
    return InFlight(
        name=row.device_name,
        site=("" if wanted.spread_by == settings.NO_SITES else row.site) or "",
        admitted_at=row.admitted_at,
        by_string=row.authentication_mode == AuthenticationMode.STRING and row.state in rows.OPEN and not in_session,
        restarted_at=None if row.uncertain and seen is None else row.restarted_at,
        seen_at=seen,
        refused_at=_refused_at(row),
        installed_at=row.ended_at if installed else None,
        registered=row.registered_at is not None if registration and installed else None,
        failed=not installed and row.state not in rows.OPEN,
        in_session=in_session,
        pilot=row.wave == pilot,
    )


def _refused_at(row: FlightRow) -> int | None:
    return row.refused_at if row.refused_at is not None and row.refused_at >= row.admitted_at else None


def seen_at(row: FlightRow, *, in_session: bool) -> int | None:
    """Return when the phone was first seen; a session that is open now counts from its admission."""
    times = [time for time in (row.seen_at, _refused_at(row)) if time is not None]
    if in_session or row.holder or (row.lost_sessions and row.tries == 1):
        times.append(row.admitted_at)
    return min(times, default=None)
