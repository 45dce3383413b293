# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which phones are retried in a separate wave (R16)."""

from __future__ import annotations

from collections.abc import Iterable

from capf.model import State, status_of
from capf.phone_session.dialogue import NO_KEY
from capf.registry.parts import NOT_REGISTERED, NOT_TRIED, REFUSED
from capf.registry.rollout.settings import RolloutSettings
from capf.store import rows
from capf.store.rollout_rows import MemberRow


def names(members: Iterable[MemberRow], settings: RolloutSettings) -> list[str]:
    """Return the phones that may succeed on a retry, as many as may be in a session at once.

    A phone that could only fail when it was to be retried, or that reported that it cannot make the key, is not among
    them; one that got its LSC after its wave was judged, and still needs its new Device Security Mode, is.
    """
    found = [row.device_name for row in members if 0 < row.tries <= settings.retries and _may_help(row)]
    return found[: settings.open_sessions]


def _may_help(row: MemberRow) -> bool:
    if row.state in rows.OPEN:
        return not row.holder
    if row.state == State.DONE:
        return owes_mode(row) and row.note != NOT_REGISTERED
    if row.note.startswith((NOT_TRIED, REFUSED)) or row.problem == NO_KEY:
        return False
    return row.state == State.FAILED and status_of(row.status or "").retry_may_help


def owes_mode(row: MemberRow) -> bool:
    """True if a registered phone still needs its new Device Security Mode."""
    registered, wanted = row.device_security_mode is not None, row.security_mode_after
    return bool(registered and wanted and row.device_security_mode != wanted)
