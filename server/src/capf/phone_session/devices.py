"""The places of each device's sessions: nobody who proved nothing keeps the phone itself from one (P33).

Anybody can say the name of a device, and could fill its places. Where they are full, a session makes room that did not
prove who it is: the oldest one of the address that has most of them. One whose claim is being decided stays, for it may
be the phone's.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, Protocol, TypeVar

from capf.addresses import counted_as


class Session(Protocol):
    """A session, as far as its place is concerned; ``proved``: its phone has proved who it is; ``deciding``: the record
    is deciding on its claim."""

    peer: str
    proved: bool

    @property
    def deciding(self) -> bool: ...


S = TypeVar("S", bound=Session)


class Places(Generic[S]):
    """The sessions of each device that has any, in the order in which they came; at most ``limit`` of one device."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: dict[str, list[S]] = {}

    def make_room(self, device_name: str) -> S | None:
        """Return the session that has to end before another one of this device may begin, if there is one; it has lost
        its place."""
        there = self._sessions.get(device_name, ())
        unproved = [session for session in there if not session.proved and not session.deciding]
        if len(there) < self._limit or not unproved:
            return None
        by_address = Counter(counted_as(session.peer) for session in unproved)
        victim = max(unproved, key=lambda session: by_address[counted_as(session.peer)])
        self.leave(victim, device_name)
        return victim

    def enter(self, session: S, device_name: str) -> bool:
        """Give a session a place; False where the device has too many."""
        there = self._sessions.get(device_name, [])
        if len(there) >= self._limit:
            return False
        self._sessions[device_name] = [*there, session]
        return True

    def leave(self, session: S, device_name: str) -> None:
        """Take back the place of a session, if it still has it."""
        left = [other for other in self._sessions.pop(device_name, ()) if other is not session]
        if left:
            self._sessions[device_name] = left
