# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary of a rollout, for people and for programs: made here alone, from the record (P58).

API, modules, playbooks and pages show it as it is. However large the rollout is, its ``lines`` are few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from capf.model import counted
from capf.registry import moment, parts
from capf.registry.parts import NOT_TRIED, Part
from capf.registry.rollout.causes import Causes, short
from capf.registry.rollout.plan import ROLLING, WAVE, Plan
from capf.registry.rollout.settings import WAVES
from capf.registry.rollout.tally import Tally
from capf.registry.schedule import LSC_IS_RIGHT
from capf.store import certificate_rows, rollout_rows
from capf.store.rollout_rows import ABORTED, DONE, RUNNING, STOPPED
from capf.store.schema import RolloutRow

NOTHING_TO_DO = "nothing to do"
"""The state of a run that began no rollout, because no phone needs an LSC."""
_REASONS, _SIZES = 4, 20
_AGAIN = "run the same command again"
_RESUME = "resume the rollout with ucm.capf.resume_rollout, or abort it with ucm.capf.abort_rollout"
_NEXT = {
    RUNNING: f"{_AGAIN}: it resumes this rollout",
    STOPPED: f"once that is fixed, {_AGAIN}: it includes the remaining phones",
    ABORTED: f"{_AGAIN} to begin a rollout of the remaining phones",
}


class _Content(NamedTuple):
    """What a summary counts: phones by part, why they were skipped, why they are not done, and how many waves ended."""

    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    causes: Causes
    waves: str


def of_rollout(connection: Connection, rollout: RolloutRow, tally: Tally) -> dict[str, Any]:
    """Return the summary of a rollout that has been counted, with the phones that it left out."""
    left_out = rollout_rows.skipped_of(rollout)
    counts = parts.show(tally.parts + Counter({Part.SKIPPED: sum(left_out.values())}))
    reasons = tally.reasons + Counter(left_out)
    waves = rollout_rows.waves(connection, rollout.id)
    judged = sum(wave.judged_at is not None for wave in waves)
    ended = f"{judged:,} of {counted(len(waves), 'wave')} judged" if rollout.strategy == WAVES else "rolling"
    content = _Content(counts, reasons, tally.causes, ended)
    return {
        "name": rollout.name,
        "state": rollout.state,
        "succeeded": rollout.state == DONE,
        "problem": rollout.problem,
        "ended_by": rollout.ended_by,
        "installed": rollout_rows.count_with_lsc(connection, rollout.id) + left_out.get(LSC_IS_RIGHT, 0),
        "scheduled": tally.scheduled,
        "by_status": dict(sorted(tally.statuses.items())),
        "directory": _directory(rollout),
        **_show(_head(rollout), content, _next_step(rollout) or _when_done(counts, reasons)),
    }


def _next_step(rollout: RolloutRow) -> str | None:
    if rollout.state == RUNNING and rollout.paused_at is not None:
        return _RESUME
    return _NEXT.get(rollout.state)


def of_nothing(connection: Connection, name: str, plan: Plan) -> dict[str, Any]:
    """Return the summary of a run that found no phone that needs an LSC, and recorded no rollout."""
    reasons = Counter({reason: len(names) for reason, names in plan.skipped.items()})
    counts = parts.show({Part.SKIPPED: reasons.total()})
    names = [item for skipped_names in plan.skipped.values() for item in skipped_names]
    content = _Content(counts, reasons, Causes(), "no waves")
    return {
        "name": name,
        "state": NOTHING_TO_DO,
        "succeeded": True,
        "problem": "",
        "ended_by": "",
        "installed": certificate_rows.count_active(connection, names),
        "scheduled": 0,
        "by_status": dict(sorted(reasons.items())),
        "directory": "",
        **_show(f"Rollout {name}: {NOTHING_TO_DO}.", content, _when_done(counts, reasons)),
    }


def _show(head: str, content: _Content, next_step: str) -> dict[str, Any]:
    """Return the part of a summary that counts, with its lines for people."""
    return {
        **content.counts,
        "skipped_because": dict(content.reasons),
        "next_step": next_step,
        "lines": [head, *_body(content), f"Next step: {next_step}."],
    }


def _directory(rollout: RolloutRow) -> str:
    """Return the name of a directory for the rollout's reports, which no other rollout of this name has."""
    begun = str(moment.show(rollout.created_at))[:19].replace(":", "-")
    return f"{rollout.name.replace(' ', '_')}-{begun}"


def _head(rollout: RolloutRow) -> str:
    by = f" by {rollout.ended_by}" if rollout.state == ABORTED and rollout.ended_by else ""
    at = f" at {moment.show(rollout.ended_at)}" if rollout.ended_at else ""
    problem = f": {rollout.problem}" if rollout.problem and not by else ""
    if rollout.paused_at is not None and rollout.state == RUNNING:
        return short(f"Rollout {rollout.name}: paused at {moment.show(rollout.paused_at)}: {rollout.pause}.")
    return short(f"Rollout {rollout.name}: {rollout.state}{by}{at}{problem}.")


def _body(content: _Content) -> list[str]:
    """Return what was asked for, the phones by part, why some were skipped, and why others are not done."""
    counts = content.counts
    always = (Part.DONE, Part.FAILED, Part.UNREACHED, Part.SKIPPED)
    shown = [*always, *(part for part in Part if part not in always and counts[part.key])]
    asked = f"{'Asked for:':<12}{counted(counts['phones'], 'phone')}, {content.waves}"
    lines = [asked, *(f"{part.capitalize() + ':':<12}{counts[part.key]:,}" for part in shown)]
    causes = content.causes.lines()
    return [*lines, *skipped(content.reasons), *(["Not done:"] if causes else []), *(f"  {line}" for line in causes)]


def skipped(reasons: Mapping[str, int]) -> list[str]:
    """Return why phones were skipped, one line per reason, the most frequent first."""
    if not reasons:
        return []
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    lines = [short(f"  {number:,}: {reason}") for reason, number in ordered[:_REASONS]]
    rest = sum(number for _reason, number in ordered[_REASONS:])
    return ["Skipped because:", *lines, *([f"  {rest:,}: other reasons"] if rest else [])]


def _when_done(counts: Mapping[str, int], reasons: Mapping[str, int]) -> str:
    """Return what to do after a rollout whose waves are all done."""
    missing = counts["phones"] - counts["done"] - counts["skipped"]
    untried = sum(number for reason, number in reasons.items() if reason.startswith(NOT_TRIED))
    if missing or untried:
        left = counted(missing + untried, "phone")
        return f"follow the advice for the {left} without an LSC, then {_AGAIN}: it includes only those"
    return "nothing; each phone has its LSC, or was skipped"


def plan_lines(name: str, plan: Plan, resumed: str) -> list[str]:
    """Return what is planned; ``resumed``: the numbers of the rollout that is resumed, empty for a new one."""
    needed = sum(len(wave.phones) for wave in plan.waves)
    left_out = {reason: len(names) for reason, names in plan.skipped.items()}
    needs = f"{counted(needed, 'phone')} {'needs' if needed == 1 else 'need'} an LSC"
    return [
        *([f"Resuming the rollout {name}: {resumed}."] if resumed else []),
        f"{needs}, {sum(left_out.values()):,} skipped.",
        *skipped(left_out),
        *(_planned_waves(plan, needed) if plan.waves else []),
    ]


def _planned_waves(plan: Plan, needed: int) -> Sequence[str]:
    sizes = ", ".join(f"{len(wave.phones):,}" for wave in plan.waves[:_SIZES])
    more = ", …" if len(plan.waves) > _SIZES else ""
    kind = plan.waves[0].kind
    first = "" if kind in (WAVE, ROLLING) else f", the first of them a {kind}"
    until = f", window until {moment.show(plan.ends_at)}" if plan.ends_at is not None else ""
    latest = f"ends by {moment.show(plan.latest_end)}, not counting retries"
    return [
        f"{counted(len(plan.waves), 'wave')}: {sizes}{more} {'phone' if needed == 1 else 'phones'}{first}.",
        f"Starts at {moment.show(plan.starts_at)}, {latest}{until}.",
    ]
