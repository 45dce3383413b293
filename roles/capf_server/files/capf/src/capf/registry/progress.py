"""How far the operations of some phones are: the numbers that a wave waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import State
from capf.registry import lifecycle, moment, refusals
from capf.registry.phones import refuse_unregistered
from capf.store import rows


def progress(connection: Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return how many are done, failed, pending and have an LSC, the failed with their status, who is pending, and who
    of these was refused: a refused phone may still succeed."""
    found = rows.progress_of(connection, names)
    refuse_unregistered(names, found)
    states = {name: row["state"] for name, row in found.items()}
    pending = sorted(name for name, row in found.items() if lifecycle.is_open(row))
    failed = sorted(name for name, state in states.items() if state == State.FAILED)
    return {
        "ended": not pending,
        "counts": {
            "phones": len(names),
            "done": sum(state == State.DONE for state in states.values()),
            "failed": len(failed),
            "pending": len(pending),
            "lsc_installed": rows.count_active_certificates(connection, names),
        },
        "by_status": dict(sorted(Counter(row["status"] for row in found.values() if row["state"]).items())),
        "failed": [
            {"device_name": name, "status": found[name]["status"], "problem": found[name]["problem"]} for name in failed
        ],
        "pending": pending,
        "refused": [_refused(name, found[name]) for name in pending if found[name]["refusals"]],
    }


def _refused(name: str, operation: rows.Row) -> dict[str, Any]:
    """Return what is known of the refusals of a phone whose operation is still open."""
    return {
        "device_name": name,
        "status": operation["status"],
        "refusals": operation["refusals"],
        "last_refusal": refusals.told(operation["refused_as"], operation["refused_because"]),
        "refused_at": moment.show(operation["refused_at"]),
        "refused_from": operation["refused_from"],
    }
