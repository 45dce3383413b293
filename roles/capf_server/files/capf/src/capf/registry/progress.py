"""How far the operations of some phones are: the numbers that a wave waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from capf.model import InvalidRequestError, Problem, State
from capf.store import rows


def progress(connection: Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return how many are done, failed, pending and have an LSC, the failed with their status, and who is pending."""
    known = rows.phones_of(connection, names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidRequestError(
            [Problem("phones", name, "phones that are registered with the server") for name in unknown]
        )
    operations = rows.operations_of(connection, names)
    states = {name: row["state"] for name, row in operations.items()}
    pending = sorted(name for name, state in states.items() if state in rows.OPEN)
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
        "by_status": dict(sorted(Counter(row["status"] for row in operations.values()).items())),
        "failed": [
            {"device_name": name, "status": operations[name]["status"], "problem": operations[name]["problem"]}
            for name in failed
        ],
        "pending": pending,
    }
