# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout counted in one pass: its phones by part, status and wave, the slowest, and those to visit (R16)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection

from capf.model import State
from capf.registry import moment, parts, phone_fields, refusals
from capf.registry.parts import NOT_REGISTERED, Part
from capf.registry.rollout import advice
from capf.registry.rollout.causes import Causes
from capf.store import rollout_rows, rows
from capf.store.rollout_rows import MemberRow
from capf.store.schema import RolloutRow

_SLOWEST = 10


class ReportedPhone(NamedTuple):
    """A phone of a rollout as the report shows it."""

    device_name: str
    description: str
    device_pool: str
    site: str
    wave: int | None
    tries: int
    part: str
    status: str
    problem: str
    refusals: int
    last_refusal: str
    refused_at: str | None
    refused_from: str
    seconds: int | None
    advice: str
    to_visit: str


@dataclass(slots=True)
class Tally:
    """Numbers of phones by part, in all and by wave; ``scheduled`` are those whose operation was not found pending;
    ``refusals`` are those of all phones' operations; ``reasons`` why phones were skipped; ``slowest`` are (seconds,
    device name); ``to_visit`` are lines by site."""

    scheduled: int = 0
    refusals: int = 0
    parts: Counter[Part] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    waves: dict[int, Counter[Part]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    causes: Causes = field(default_factory=Causes)
    slowest: list[tuple[int, str]] = field(default_factory=list)
    to_visit: list[ReportedPhone] = field(default_factory=list)


def count(connection: Connection, rollout: RolloutRow) -> Tally:
    """Return the rollout's numbers."""
    tally = Tally()
    timed: list[tuple[int, str]] = []
    for row in rollout_rows.each_member(connection, rollout.id, _site_field(rollout)):
        part = parts.of(row)
        tally.scheduled += row.created_at is not None and row.created_at >= rollout.created_at
        tally.refusals += row.refusals or 0
        tally.parts[part] += 1
        tally.statuses[parts.status_of(row)] += 1
        tally.waves.setdefault(row.wave, Counter())[part] += 1
        if part is Part.SKIPPED:
            tally.reasons[parts.status_of(row)] += 1
        tally.causes.add(row, part)
        seconds = _seconds(row)
        if seconds is not None:
            timed.append((seconds, row.device_name))
        if is_to_visit(row):
            tally.to_visit.append(_line(row))
    tally.slowest = heapq.nlargest(_SLOWEST, timed)
    tally.to_visit.sort(key=lambda line: (line.site, line.device_name))
    return tally


def _seconds(row: MemberRow) -> int | None:
    """Return the seconds from the phone's scheduling, or from its wave's start, until it was done."""
    if row.state != State.DONE or row.ended_at is None:
        return None
    return max(0, row.ended_at - max(row.created_at or 0, row.started_at or 0))


def is_to_visit(row: MemberRow) -> bool:
    """True if somebody has to visit the phone; one with a cancelled operation is left to a later rollout."""
    return row.note == NOT_REGISTERED or row.state in (State.FAILED, *rows.OPEN)


def _site_field(rollout: RolloutRow) -> str:
    """Return the field that identifies a phone's site."""
    by = str(rollout_rows.settings_of(rollout)["spread_by"])
    return by if by in phone_fields.sites() else "device_pool"


def _line(row: MemberRow) -> ReportedPhone:
    return ReportedPhone(
        device_name=row.device_name,
        description=row.description or "",
        device_pool=row.device_pool or "",
        site=row.site or "",
        wave=row.wave or None,
        tries=row.tries,
        part=parts.of(row),
        status=parts.status_of(row),
        problem=row.problem or "",
        refusals=row.refusals or 0,
        last_refusal=refusals.described(row.refused_as, row.refused_because),
        refused_at=moment.show(row.refused_at),
        refused_from=row.refused_from or "",
        seconds=_seconds(row),
        advice=advice.of(row),
        to_visit="yes" if is_to_visit(row) else "no",
    )


def lines(connection: Connection, rollout: RolloutRow) -> Iterator[Mapping[str, Any]]:
    """Yield one line per phone: its site, wave, tries, part, status, seconds, and what to do about it."""
    members = rollout_rows.each_member(connection, rollout.id, _site_field(rollout))
    return (_line(row)._asdict() for row in members)
