"""Whether an operation can still be carried out, and whether a session does it now: the one answer for everybody.

An operation is open until the phone that proved itself ends it, its deadline comes, or the administrator cancels it.
What has ended is never opened again, whatever it was tried with before.
"""

from __future__ import annotations

from typing import Protocol

from capf.model import AuthenticationMode, State
from capf.store.rows import OPEN

_OPEN = frozenset(OPEN)


class HasState(Protocol):
    """Any row with an operation's state, which is None where a phone never had an operation."""

    @property
    def state(self) -> str | None: ...


class HasSession(HasState, Protocol):
    """Any row that also says who holds the operation, and by what it authenticates the phone."""

    @property
    def holder(self) -> str | None: ...
    @property
    def authentication_mode(self) -> str | None: ...


def is_open(operation: HasState | None) -> bool:
    """True when the operation can still be carried out; False too where there is none."""
    return operation is not None and operation.state in _OPEN


def in_session(operation: HasSession | None) -> bool:
    """True when a session carries the operation out that must not be disturbed: the phone may have done it already.

    By null string nobody proves who holds the session: it counts only once it has been sent a certificate.
    """
    if operation is None or not is_open(operation) or not operation.holder:
        return False
    mode = operation.authentication_mode
    return operation.state == State.ISSUED or (mode is not None and AuthenticationMode(mode).proves)
