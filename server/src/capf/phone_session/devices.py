# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits the sessions of each device, without letting strangers block the phone itself (P33).

Anybody can send the name of a device and could use up its sessions. At the limit, an unauthenticated session is
closed: the oldest one of the address with the most sessions. A session whose claim is being decided stays, because it
may be the phone's.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, Protocol, TypeVar

from capf.addresses import counted_as


class Session(Protocol):
    """A session; ``proved``: its phone has authenticated; ``deciding``: the record is deciding on its claim."""

    peer: str
    proved: bool

    @property
    def deciding(self) -> bool: ...


S = TypeVar("S", bound=Session)


class Places(Generic[S]):
    """The sessions of each device in the order in which they began, at most ``limit`` per device."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: dict[str, list[S]] = {}

    def make_room(self, device_name: str) -> S | None:
        """Remove and return the session that has to end, if any, before another one of this device may begin."""
        there = self._sessions.get(device_name, ())
        unproved = [session for session in there if not session.proved and not session.deciding]
        if len(there) < self._limit or not unproved:
            return None
        by_address = Counter(counted_as(session.peer) for session in unproved)
        victim = max(unproved, key=lambda session: by_address[counted_as(session.peer)])
        self.leave(victim, device_name)
        return victim

    def enter(self, session: S, device_name: str) -> bool:
        """Add a session; False if the device has too many."""
        there = self._sessions.get(device_name, [])
        if len(there) >= self._limit:
            return False
        self._sessions[device_name] = [*there, session]
        return True

    def leave(self, session: S, device_name: str) -> None:
        """Remove a session if it is still counted."""
        left = [other for other in self._sessions.pop(device_name, ()) if other is not session]
        if left:
            self._sessions[device_name] = left
