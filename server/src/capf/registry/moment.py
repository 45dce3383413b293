# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as people and Unified CM write them: Operation Completes By in the first node's time (R26)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache

from capf.model import InvalidRequestError, not_allowed

ALLOWED = "a future date and time, such as 2030-01-31T06:00 (the first node's time) or 2030-01-31T06:00+01:00"
_UNIFIED_CM = re.compile(r"(\d{4})([:/])(\d\d)\2(\d\d)(?:[: T](\d\d)(?::(\d\d)(?::(\d\d))?)?)?", re.ASCII)
"""YYYY:MM:DD:HH:MM, the form in its scripts and exports, also shorter, with seconds, with slashes, or with a blank
before the time."""
_DAY_BEGINS, _DAY_ENDS = time(0), time(23, 59, 59)
_ENDS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
_FIRST, _LAST = (int(end.timestamp()) for end in _ENDS)


def read(text: str, field: str, *, begins: bool = False) -> int:
    """Return epoch seconds of a date and time; InvalidRequestError names ``field`` when it is unreadable, or when the
    first node's time has no date for it.

    A date without a time is the end of that day, or its beginning if something ``begins`` then.
    """
    try:
        moment = int(understood(text, _DAY_BEGINS if begins else _DAY_ENDS).timestamp())
        _local(moment)
        return moment
    except (ValueError, OverflowError, OSError):
        raise InvalidRequestError([not_allowed(field, text, ALLOWED)]) from None


def understood(text: str, time_of_day: time = _DAY_BEGINS) -> datetime:
    """Return the time that a text means, with this time of day for a date alone; ValueError if it is not a time."""
    found = _UNIFIED_CM.fullmatch(text)
    if found is not None:
        year, _separator, month, day, *clock = found.groups()
        text = f"{year}-{month}-{day}"
        if clock[0] is not None:
            text += "T" + ":".join((clock[0], clock[1] or "00", clock[2] or "00"))
    try:
        return datetime.combine(date.fromisoformat(text), time_of_day)
    except ValueError:
        return datetime.fromisoformat(text)


def parse(text: str, now: int) -> int:
    """Return epoch seconds of a future time; InvalidRequestError if it is unreadable or past."""
    moment = read(text, "completes_by")
    if moment <= now:
        raise InvalidRequestError([not_allowed("completes_by", text, ALLOWED)])
    return moment


@lru_cache(maxsize=10_000)
def show(moment: int | None) -> str | None:
    """Return epoch seconds as ISO 8601 with the first node's offset; None stays None.

    The last possible date, which certificates without an expiry have, is shown in UTC if the first node's time zone
    cannot represent it.
    """
    if moment is None:
        return None
    try:
        return _local(moment).isoformat()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(min(max(moment, _FIRST), _LAST), UTC).isoformat()


def _local(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone()
