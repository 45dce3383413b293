# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a phone of a rollout that is not done."""

from __future__ import annotations

from capf.model import STATUS_PENDING, AuthenticationMode, Operation, Outcome, State, operation_status, status_of
from capf.phone_session.verify import EXPIRED, MIC_WITH_SHA1, NOT_TRUSTED
from capf.registry.parts import NOT_REGISTERED, NOT_TRIED, REFUSED, WITHOUT_LSC
from capf.store.rollout_rows import MemberRow

NOT_ENTERED = "the authentication string was not entered: send somebody, the operation is still pending"
FIX_AND_REPEAT = "fix what the server refused, and include the phone in the next rollout"
_STRINGS = f"{AuthenticationMode.NULL_STRING} or {AuthenticationMode.STRING}"
_LSC_REFUSED = "the phone's LSC is not accepted"
_BY_MIC = f"use {AuthenticationMode.MIC_FIRST} if the issuer of its MIC is trusted, or {_STRINGS}"
_MIC_FAULTS = {
    NOT_TRUSTED: "trust the issuer of the phone's MIC with ucm.capf.manufacturing_ca",
    MIC_WITH_SHA1: "accept MICs that are signed with SHA-1 by capf_server_allow_sha1_mic",
    EXPIRED: "accept expired MICs by capf_server_allow_expired_mic",
}
"""What to do about a MIC that is not accepted, by what the problem of the operation says (``verify.mic_problem``)."""
_INVALID_LSC = {operation_status(kind, Outcome.INVALID_LSC) for kind in Operation if kind is not Operation.NONE}
_INVALID_MIC = {operation_status(kind, Outcome.INVALID_MIC) for kind in Operation if kind is not Operation.NONE}


def of(row: MemberRow) -> str:
    """Return what to do about a rollout's phone, empty if there is nothing to do."""
    if row.note in (NOT_REGISTERED, WITHOUT_LSC):
        return row.note
    if row.note.startswith(NOT_TRIED):
        return f"{row.note.rpartition('; ')[2]}, and include the phone in the next rollout"
    if row.note.startswith(REFUSED):
        return FIX_AND_REPEAT
    if row.state in (None, State.DONE):
        return ""
    return advice(row.status or "", row.authentication_mode or "", row.problem or "", mic=bool(row.mic))


def advice(status: str, mode: str = "", problem: str = "", *, mic: bool = False) -> str:
    """Return what to do about a phone with this status.

    ``mode``: its Authentication Mode; ``problem``: what the operation says about it; ``mic``: whether it has a MIC.
    """
    if status == STATUS_PENDING and mode == AuthenticationMode.STRING:
        return NOT_ENTERED
    if status in _INVALID_LSC and mic and mode != AuthenticationMode.MIC_FIRST:
        return f"{_LSC_REFUSED}: {_BY_MIC}"
    if status in _INVALID_MIC:
        for words, todo in _MIC_FAULTS.items():
            if words in problem:
                return f"{todo}, or use {_STRINGS}"
    return status_of(status).advice
