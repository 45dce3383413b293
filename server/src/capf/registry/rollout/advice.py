"""What to do about a phone of a rollout that is not done."""

from __future__ import annotations

from capf.model import STATUS_PENDING, AuthenticationMode, State, status_of
from capf.registry.parts import NOT_REGISTERED, REFUSED, WITHOUT_LSC
from capf.store.rollouts import MemberRow

NOT_ENTERED = "nobody has entered the authentication string: send somebody, the operation waits for it"
MEND_AND_REPEAT = "mend what the server refused, and take the phone into the next rollout"


def of(row: MemberRow) -> str:
    """Return what to do about a rollout's phone, empty where there is nothing to do."""
    if row.note in (NOT_REGISTERED, WITHOUT_LSC):
        return row.note
    if row.note.startswith(REFUSED):
        return MEND_AND_REPEAT
    return advice(row.status or "", row.authentication_mode or "") if row.state not in (None, State.DONE) else ""


def advice(status: str, mode: str = "") -> str:
    """Return what to do about a phone with this status; ``mode``: its Authentication Mode."""
    if status == STATUS_PENDING and mode == AuthenticationMode.STRING:
        return NOT_ENTERED
    return status_of(status).advice
