# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of some phones' operations: the numbers that a wave waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from capf.registry import moment, parts, refusals
from capf.registry.parts import Part
from capf.registry.phones import refuse_unregistered
from capf.store import certificate_rows, rows
from capf.store.rows import ProgressRow


def progress(connection: Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of phones by part and with an LSC, and lists of the failed, in-flight and refused ones.

    A refused phone is in flight and may still succeed. A phone that never had an operation is skipped.
    """
    found = rows.progress_of(connection, names)
    refuse_unregistered(names, found)
    part_of = {name: parts.part(row.state) for name, row in found.items()}
    in_flight = sorted(name for name, part in part_of.items() if part is Part.IN_FLIGHT)
    failed = sorted(name for name, part in part_of.items() if part is Part.FAILED)
    return {
        "ended": not in_flight,
        "counts": {
            **parts.counts(part_of[name] for name in names),
            "lsc_installed": certificate_rows.count_active(connection, names),
        },
        "by_status": dict(sorted(Counter(row.status for row in found.values() if row.state).items())),
        "failed": [
            {"device_name": name, "status": found[name].status, "problem": found[name].problem} for name in failed
        ],
        "in_flight": in_flight,
        "refused": [_refused(name, found[name]) for name in in_flight if found[name].refusals],
    }


def _refused(name: str, operation: ProgressRow) -> dict[str, Any]:
    """Return the refusals of a phone whose operation is still open."""
    return {
        "device_name": name,
        "status": operation.status,
        "refusals": operation.refusals,
        "last_refusal": refusals.described(operation.refused_as, operation.refused_because),
        "refused_at": moment.show(operation.refused_at),
        "refused_from": operation.refused_from,
    }
