# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rollout: CSV with one row per phone, and the figures of its page (R16, R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from capf.registry import report
from capf.registry.rollout import show, tally

COLUMNS: Mapping[str, str] = {
    "Device Name": "device_name",
    "Description": "description",
    "Site": "site",
    "Device Pool": "device_pool",
    "Wave": "wave",
    "Tries": "tries",
    "Part": "part",
    "Operation Status": "status",
    "Problem": "problem",
    "Refusals": "refusals",
    "Last Refusal": "last_refusal",
    "Last Refusal At": "refused_at",
    "Last Refusal From": "refused_from",
    "Seconds": "seconds",
    "What To Do": "advice",
    "To Visit": "to_visit",
}
_FREE_TEXT = ("description", "site", "device_pool", "problem", "last_refusal", "refused_from")


def csv_pieces(connection: Connection, name: str, rollout_id: int | None = None) -> Iterator[str]:
    """Yield a rollout, or the latest of its name, in pieces of CSV text; ConflictError if there is none."""
    return report.csv_of(tally.lines(connection, show.find(connection, name, rollout_id)), COLUMNS, _FREE_TEXT)


@dataclass(frozen=True, slots=True)
class RolloutFigures:
    """What the page shows: the rollout's ``state``, the phones to visit by (status, what to do), and the first of
    these phones by site."""

    state: Mapping[str, Any]
    failures: Counter[tuple[str, str]]
    visits: list[tally.ReportedPhone]


def figures(connection: Connection, name: str, rollout_id: int | None = None) -> RolloutFigures:
    """Return the figures of a rollout, or of the latest of its name; ConflictError if there is none."""
    rollout = show.find(connection, name, rollout_id)
    counted = tally.count(connection, rollout)
    failures = Counter((line.status, line.advice) for line in counted.to_visit)
    return RolloutFigures(show.in_numbers(connection, rollout, counted), failures, counted.to_visit[: report.SHOWN])
