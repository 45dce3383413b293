"""Times as people write them: Operation Completes By in the first node's time (R26)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from capf.model import InvalidRequestError, Problem

ALLOWED = "a date and time to come, such as 2030-01-31T06:00 (the first node's time) or 2030-01-31T06:00+01:00"


def read(text: str, field: str) -> int:
    """Return epoch seconds of a date and time; InvalidRequestError names ``field`` when it is unreadable."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise InvalidRequestError([Problem(field, text, ALLOWED)]) from None


def parse(text: str, now: int) -> int:
    """Return epoch seconds of a time to come; InvalidRequestError when it is unreadable or past."""
    moment = read(text, "completes_by")
    if moment <= now:
        raise InvalidRequestError([Problem("completes_by", text, ALLOWED)])
    return moment


@lru_cache(maxsize=10_000)
def show(moment: int | None) -> str | None:
    """Return epoch seconds as ISO 8601 with the first node's offset; None stays None."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).astimezone().isoformat()
