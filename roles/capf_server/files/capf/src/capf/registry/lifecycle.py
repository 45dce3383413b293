"""Whether an operation can still be carried out, and whether a session does it now: the one answer for everybody.

An operation is open until the phone that proved itself ends it, its deadline comes, or the administrator cancels it.
What has ended is never opened again, whatever it was tried with before.
"""

from __future__ import annotations

from capf.model import AuthenticationMode, State
from capf.store.rows import OPEN, Row

_OPEN = frozenset(OPEN)


def is_open(operation: Row | None) -> bool:
    """True when the operation can still be carried out; False too where there is none.

    ``operation``: a row with the column ``state``, which is None where a phone never had an operation.
    """
    return operation is not None and operation["state"] in _OPEN


def in_session(operation: Row | None) -> bool:
    """True when a session carries the operation out that must not be disturbed: the phone may have done it already.

    By null string nobody proves who holds the session: it counts only once it has been sent a certificate.
    """
    if operation is None or not is_open(operation) or not operation["holder"]:
        return False
    return AuthenticationMode(operation["authentication_mode"]).proves or operation["state"] == State.ISSUED
