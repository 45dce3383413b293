"""What an Operation Status means to do, and whether another try may help."""

from __future__ import annotations

from capf.model import STATUS_NONE, STATUS_PENDING, AuthenticationMode, Operation, Outcome, State, operation_status
from capf.registry.parts import NOT_REGISTERED, REFUSED, WITHOUT_LSC
from capf.store import rows

_ADVICE: dict[Outcome, tuple[bool, str]] = {
    Outcome.FAILED: (True, "see the problem; start the phone again, and have its traces looked at if it fails again"),
    Outcome.INVALID_STRING: (False, "hand out the authentication string again and have it entered with care"),
    Outcome.INVALID_LSC: (False, "the phone's LSC is not accepted: use By Null String or By Authentication String"),
    Outcome.INVALID_MIC: (False, "trust the issuer of the phone's MIC, or use another Authentication Mode"),
    Outcome.INVALID_CREDENTIALS: (False, "the certificate is another device's: look at the phone before anything else"),
    Outcome.COMMUNICATION_FAILURE: (True, "check the phone's network, then try again"),
    Outcome.KEY_GENERATION_FAILED: (True, "try again; allow more time, or a smaller key, for an old phone"),
    Outcome.LATE: (False, "the time was over: take the phone into the next window"),
    Outcome.NO_EC_SUPPORT: (False, "ask this phone for an RSA key"),
}
_BY_STATUS = {operation_status(Operation.INSTALL, outcome): told for outcome, told in _ADVICE.items()}
_BY_STATUS[STATUS_PENDING] = (True, "the phone did not come: see whether it has power and network, and visit it")
_BY_STATUS[STATUS_NONE] = (False, "its operation was cancelled: take the phone into the next rollout")
_UNKNOWN = (False, "look at the phone")
NOT_ENTERED = "nobody has entered the authentication string: send somebody, the operation waits for it"
MEND_AND_REPEAT = "mend what the server refused, and take the phone into the next rollout"


def another_try_may_help(status: str) -> bool:
    """Return whether a phone with this status is taken into a later wave of the same window."""
    return _BY_STATUS.get(status, _UNKNOWN)[0]


def of(row: rows.Row) -> str:
    """Return what to do about a rollout's phone, empty where there is nothing to do."""
    if row["note"] in (NOT_REGISTERED, WITHOUT_LSC):
        return str(row["note"])
    if row["note"].startswith(REFUSED):
        return MEND_AND_REPEAT
    return advice(row["status"], row["authentication_mode"]) if row["state"] not in (None, State.DONE) else ""


def advice(status: str, mode: str = "") -> str:
    """Return what to do about a phone with this status; ``mode``: its Authentication Mode."""
    if status == STATUS_PENDING and mode == AuthenticationMode.STRING:
        return NOT_ENTERED
    return _BY_STATUS.get(status, _UNKNOWN)[1]
