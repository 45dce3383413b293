# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rest of a resumed rollout, with which its next run continues (R18)."""

from __future__ import annotations

from collections.abc import Sequence

from capf.model import counted
from capf.registry import parts
from capf.registry.parts import Part
from capf.registry.rollout import retries
from capf.registry.rollout.plan import MAY_NOT_FIT, RETRY, Plan, PlannedWave, RolloutRequest, fit, some
from capf.registry.rollout.settings import (
    ROLLING,
    RolloutSettings,
    described,
    from_record,
    seconds,
    show,
    with_wave_seconds,
)
from capf.registry.rollout.waves import goes_on_until
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rollout_rows, rows
from capf.store.rollout_rows import MemberRow
from capf.store.schema import RolloutRow, WaveRow


def remaining(tx: Transaction, rollout: RolloutRow, request: RolloutRequest) -> Plan:
    """Return the waves that are not judged, or the retry after them; all other phones are skipped.

    Warnings name the parts of the request that come too late for this rollout.
    """
    settings, now = from_record(rollout_rows.settings_of(rollout)), tx.now
    members = rollout_rows.members(tx.connection, rollout.id)
    if rollout.strategy == ROLLING:
        return _remaining_turns(tx, rollout, request, settings, members)
    recorded = rollout_rows.waves(tx.connection, rollout.id)
    ahead = [wave for wave in recorded if wave.judged_at is None]
    waves = [PlannedWave(wave.number, wave.kind, _phones(wave, members)) for wave in ahead]
    if not waves and (names := retries.names(members, settings)):
        waves.append(PlannedWave(len(recorded) + 1, RETRY, names))
    coming = {name for wave in waves for name in wave.phones}
    skipped: dict[str, list[str]] = {}
    for row in members:
        if row.device_name not in coming:
            skipped.setdefault(parts.status_of(row), []).append(row.device_name)
    modes = {row.device_name: row.wanted_mode for row in members}
    lasting = [seconds(settings, [modes[name] for name in wave.phones]) for wave in waves]
    if ahead and ahead[0].started_at is not None:
        open_phones = [row for row in members if row.device_name in waves[0].phones]
        lasting[0] = max(0, goes_on_until(tx.context, rollout, ahead[0], open_phones) - now)
    starts_at = max(now, rollout.starts_at or now)
    warnings = [
        *_too_late(tx, request, settings, members),
        *fit(lasting, starts_at, rollout.ends_at),
    ]
    return Plan(waves, skipped, warnings, starts_at, starts_at + sum(lasting), rollout.ends_at, resumed=True)


def _remaining_turns(
    tx: Transaction,
    rollout: RolloutRow,
    request: RolloutRequest,
    settings: RolloutSettings,
    members: Sequence[MemberRow],
) -> Plan:
    """Return the waves of a rolling rollout with the phones that wait or are in flight."""
    waves, skipped = list[PlannedWave](), dict[str, list[str]]()
    left = {row.device_name for row in members if parts.of(row) in (Part.WAITING, Part.IN_FLIGHT)}
    for wave in rollout_rows.waves(tx.connection, rollout.id):
        names = [row.device_name for row in members if row.wave == wave.number and row.device_name in left]
        if names:
            waves.append(PlannedWave(wave.number, wave.kind, names))
    for row in members:
        if row.device_name not in left:
            skipped.setdefault(parts.status_of(row), []).append(row.device_name)
    longest = seconds(settings, (row.wanted_mode for row in members if row.device_name in left))
    starts_at = max(tx.now, rollout.starts_at or tx.now)
    latest = starts_at + longest * (1 + len(left) // max(1, settings.in_flight.size(len(members))))
    warnings = _too_late(tx, request, settings, members)
    if rollout.ends_at is not None and latest > rollout.ends_at:
        warnings.append(MAY_NOT_FIT)
    return Plan(waves, skipped, warnings, starts_at, latest, rollout.ends_at, resumed=True)


def _too_late(
    tx: Transaction, request: RolloutRequest, settings: RolloutSettings, members: Sequence[MemberRow]
) -> list[str]:
    kept = show(settings)
    asked = show(with_wave_seconds(request.settings, tx.in_force))
    warnings = [
        f"{name} stays {kept[name]!r}, as when the rollout began; {value!r} is for the next one"
        for name, value in asked.items()
        if value != kept[name] and (settings.strategy == ROLLING or not described()[name].rolling)
    ]
    others = set(request.phones) - {row.device_name for row in members}
    others -= set(certificate_rows.active(tx.connection, sorted(others)))
    if others:
        warnings.append(
            f"{counted(len(others), 'phone')} without an LSC not in the resumed rollout, among them"
            f" {some(others)}; run the command again for them after its end"
        )
    return warnings


def _phones(wave: WaveRow, members: Sequence[MemberRow]) -> list[str]:
    """Return the phones for which a wave is not over."""
    here = [row for row in members if row.wave == wave.number]
    if wave.started_at is not None:
        here = [row for row in here if row.state in rows.OPEN]
    return [row.device_name for row in here]
