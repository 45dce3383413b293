# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as people write them: Operation Completes By in the first node's time (R26)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from capf.model import InvalidRequestError, not_allowed

ALLOWED = "a date and time to come, such as 2030-01-31T06:00 (the first node's time) or 2030-01-31T06:00+01:00"
_ENDS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
_FIRST, _LAST = (int(end.timestamp()) for end in _ENDS)


def read(text: str, field: str) -> int:
    """Return epoch seconds of a date and time; InvalidRequestError names ``field`` when it is unreadable, or when the
    first node's time has no date for it."""
    try:
        moment = int(datetime.fromisoformat(text).timestamp())
        _local(moment)
        return moment
    except (ValueError, OverflowError, OSError):
        raise InvalidRequestError([not_allowed(field, text, ALLOWED)]) from None


def parse(text: str, now: int) -> int:
    """Return epoch seconds of a time to come; InvalidRequestError when it is unreadable or past."""
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
