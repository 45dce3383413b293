# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an operation can still be carried out, and whether a session is doing so: the only place for these rules.

An operation is open until an authenticated phone ends it, its deadline passes, or the administrator cancels it. An
ended operation is never reopened, even if it was refused before.
"""

from __future__ import annotations

from typing import Protocol

from capf.model import AuthenticationMode, State
from capf.store.rows import OPEN

_OPEN = frozenset(OPEN)


class HasState(Protocol):
    """Any row with an operation's state, None if a phone never had an operation."""

    @property
    def state(self) -> str | None: ...


class HasSession(HasState, Protocol):
    """Any row that also has the holder of the operation and its authentication mode."""

    @property
    def holder(self) -> str | None: ...
    @property
    def authentication_mode(self) -> str | None: ...


def is_open(operation: HasState | None) -> bool:
    """True if the operation can still be carried out; False if there is no operation."""
    return operation is not None and operation.state in _OPEN


def in_session(operation: HasSession | None) -> bool:
    """True if a session that must not be disturbed carries out the operation: the phone may already be done.

    By null string the session is not authenticated: it counts only after it was sent a certificate.
    """
    if operation is None or not is_open(operation) or not operation.holder:
        return False
    mode = operation.authentication_mode
    return operation.state == State.ISSUED or (mode is not None and AuthenticationMode(mode).proves)
