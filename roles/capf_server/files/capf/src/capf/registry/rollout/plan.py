"""Beginning a rollout: who needs an LSC, in which waves, and whether they fit into the window (R16)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from capf.model import ConflictError, InvalidRequestError, Operation, Problem, SecurityMode
from capf.registry import moment, schedule
from capf.registry.context import Context
from capf.registry.rollout import lease, order
from capf.registry.rollout.settings import Pace, Settings, pace
from capf.store import journal, rollouts, rows

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}")
NAME_ALLOWED = "a name of letters, digits, spaces, dots, dashes and underscores, 80 at most"
PILOT, WAVE, RETRY = "pilot", "wave", "retry"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Request:
    """``phones`` are device names; ``modes_after`` the Device Security Mode that a phone gets once it has its LSC."""

    name: str
    runner: str
    phones: Sequence[str]
    settings: Settings
    modes_after: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done, or would be: the waves by their kind, who is skipped and why, and when it ends at the latest."""

    waves: list[tuple[str, list[str]]]
    skipped: Mapping[str, list[str]]
    warnings: list[str]
    starts_at: int
    latest_end: int
    ends_at: int | None


def begin(connection: Connection, context: Context, request: Request, actor: str) -> Plan | None:
    """Put a new rollout on record, if any phone needs an LSC; None when one of this name runs and is taken up.

    InvalidRequestError names all that is wrong; ConflictError when another rollout has one of the phones, or when
    another run leads this one.
    """
    _check(request)
    now = context.now
    if lease.take_up(connection, context, request.name, request.runner):
        return None
    _refuse_others(connection, context, request.phones)
    plan = make(connection, context, request, pace(request.settings, now))
    if not plan.waves:
        return plan
    values = {
        "name": request.name,
        "state": rollouts.RUNNING,
        "settings": json.dumps(asdict(request.settings)),
        "skipped": json.dumps({reason: len(names) for reason, names in plan.skipped.items()}),
        "starts_at": plan.starts_at,
        "ends_at": plan.ends_at,
        "runner": request.runner,
        "seen_at": now,
        "created_at": now,
    }
    numbered = list(enumerate(plan.waves, start=1))
    waves = [{"number": number, "kind": kind, "phones": len(names)} for number, (kind, names) in numbered]
    count = sum(len(names) for _kind, names in plan.waves)
    identifier = rollouts.add(connection, values, waves)
    members = (
        {"device_name": name, "wave": number, "security_mode_after": request.modes_after.get(name, "")}
        for number, (_kind, names) in numbered
        for name in names
    )
    rollouts.add_phones(connection, identifier, members)
    detail = {"rollout": request.name, "phones": count, "waves": len(waves)}
    journal.record(connection, now, actor, [journal.Act("begin rollout", detail=detail)])
    return plan


def _check(request: Request) -> None:
    problems = []
    if not NAME.fullmatch(request.name):
        problems.append(Problem("name", request.name, NAME_ALLOWED))
    allowed = [mode.value for mode in SecurityMode]
    problems += [
        Problem(f"security_mode_after of {name}", mode, ", ".join(allowed))
        for name, mode in request.modes_after.items()
        if mode not in allowed
    ]
    if problems:
        raise InvalidRequestError(problems)


def _refuse_others(connection: Connection, context: Context, names: Sequence[str]) -> None:
    """Two rollouts never have the same phone at once; one whose window is over does not count."""
    clashes = [
        row for row in rollouts.others(connection, names) if row["ends_at"] is None or row["ends_at"] > context.now
    ]
    if not clashes:
        return
    running = sorted({row["name"] for row in clashes})
    shown = ", ".join(sorted(row["device_name"] for row in clashes)[:_SHOWN])
    raise ConflictError(
        f"{len(clashes)} of the phones are in the running rollout {', '.join(running)}, among them {shown};"
        " go on with that one, or abort it"
    )


def make(connection: Connection, context: Context, request: Request, found: Pace) -> Plan:
    """Return the plan and change nothing; InvalidRequestError names every phone that cannot be scheduled."""
    settings, now = request.settings, context.now
    wanted = schedule.Request(
        operation=Operation.INSTALL,
        items=[{"device_name": name} for name in request.phones],
        completes_by=settings.window_end or None,
        renew_before_days=settings.renew_before_days,
        force=settings.force,
    )
    planned = schedule.make_plan(connection, context, wanted)
    names = planned.scheduled + planned.pending
    starts_at = max(now, found.starts_at or 0)
    waves = _waves(connection, names, settings, found, starts_at)
    latest_end = starts_at + len(waves) * settings.wave_seconds
    warnings = list(planned.warnings)
    if found.ends_at is not None and latest_end > found.ends_at:
        fitting = max(0, found.ends_at - starts_at) // settings.wave_seconds
        warnings.append(
            f"{min(fitting, len(waves))} of {len(waves)} waves are sure to fit into the window;"
            " the others are begun only while a whole wave still fits"
        )
    return Plan(waves, planned.skipped, warnings, starts_at, latest_end, found.ends_at)


def _waves(
    connection: Connection, names: Sequence[str], settings: Settings, found: Pace, starts_at: int
) -> list[tuple[str, list[str]]]:
    known = rows.phones_of(connection, names)
    by = settings.spread_by
    site_of = {name: "" if by == "none" else known[name][by] for name in names}
    site_sizes = {"": 0} if by == "none" else rollouts.count_sites(connection, by)
    pilot = found.pilot.size(len(names))
    size = min(_wave_size(len(names) - pilot, settings, found, starts_at, pilot), settings.open_sessions)
    pilot = min(pilot, settings.open_sessions)
    waves = order.cut(order.spread(names, site_of), site_of, site_sizes, pilot, max(1, size))
    return [(PILOT if pilot and not index else WAVE, wave) for index, wave in enumerate(waves)]


def _wave_size(count: int, settings: Settings, found: Pace, starts_at: int, pilot: int) -> int:
    """Return the size that is set, or the smallest with which all waves and one for second tries fit."""
    if found.wave is not None:
        return found.wave.size(count)
    seconds = (found.ends_at or starts_at) - starts_at
    room = seconds // settings.wave_seconds - (1 if pilot else 0) - (1 if settings.more_tries else 0)
    return math.ceil(count / max(1, room))


def show(plan: Plan, now: int) -> dict[str, Any]:
    """Return the plan as the API shows it."""
    return {
        "waves": [
            {"number": number, "kind": kind, "phones": names}
            for number, (kind, names) in enumerate(plan.waves, start=1)
        ],
        "skipped": dict(plan.skipped),
        "warnings": plan.warnings,
        "starts_at": moment.show(plan.starts_at),
        "starts_in_seconds": max(0, plan.starts_at - now),
        "latest_end": moment.show(plan.latest_end),
        "window_end": moment.show(plan.ends_at),
    }
