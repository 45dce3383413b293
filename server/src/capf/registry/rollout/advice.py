# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a phone of a rollout that is not done."""

from __future__ import annotations

from capf.model import STATUS_PENDING, AuthenticationMode, State, status_of
from capf.registry.parts import NOT_REGISTERED, NOT_TRIED, REFUSED, WITHOUT_LSC
from capf.store.rollout_rows import MemberRow

NOT_ENTERED = "the authentication string was not entered: send somebody, the operation is still pending"
FIX_AND_REPEAT = "fix what the server refused, and include the phone in the next rollout"


def of(row: MemberRow) -> str:
    """Return what to do about a rollout's phone, empty if there is nothing to do."""
    if row.note in (NOT_REGISTERED, WITHOUT_LSC):
        return row.note
    if row.note.startswith((REFUSED, NOT_TRIED)):
        return FIX_AND_REPEAT
    return advice(row.status or "", row.authentication_mode or "") if row.state not in (None, State.DONE) else ""


def advice(status: str, mode: str = "") -> str:
    """Return what to do about a phone with this status; ``mode``: its Authentication Mode."""
    if status == STATUS_PENDING and mode == AuthenticationMode.STRING:
        return NOT_ENTERED
    return status_of(status).advice
