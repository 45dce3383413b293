# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chooses the guest that makes room at a full door: the one idle longest, of the address with the most guests."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Addressed(Protocol):
    """A guest of an address."""

    @property
    def address(self) -> str: ...


G = TypeVar("G", bound=Addressed)


class Line(Generic[G]):
    """Guests that may have to make room, in the order in which they were added.

    Every call takes constant time, whatever the number of guests and addresses. An address is kept only while it has
    guests here, so memory is bounded by their number.
    """

    def __init__(self) -> None:
        self._guests: dict[str, dict[G, None]] = {}
        self._by_size: dict[int, dict[str, None]] = {}
        self._largest = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many guests there are."""
        return self._count

    def share(self, address: str) -> int:
        """Return how many guests of an address there are."""
        return len(self._guests.get(address, ()))

    def add(self, guest: G) -> None:
        """Add a guest at the end of the line, or move it there."""
        self.discard(guest)
        before = self.share(guest.address)
        self._guests.setdefault(guest.address, {})[guest] = None
        self._count += 1
        self._resized(guest.address, before, before + 1)

    def discard(self, guest: G) -> None:
        """Remove a guest if it is in the line."""
        of_address = self._guests.get(guest.address, {})
        if guest not in of_address:
            return
        del of_address[guest]
        self._count -= 1
        self._resized(guest.address, len(of_address) + 1, len(of_address))
        if not of_address:
            del self._guests[guest.address]

    def _resized(self, address: str, before: int, after: int) -> None:
        """Keep the addresses in order of their number of guests."""
        if before:
            del self._by_size[before][address]
            if not self._by_size[before]:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[address] = None
        if after > self._largest or self._largest not in self._by_size:
            self._largest = after

    def first(self, address: str | None = None) -> G | None:
        """Return the first guest of an address, by default of the one with the most guests; None if it has none."""
        if address is None:
            address = next(iter(self._by_size.get(self._largest, ())), None)
        return None if address is None else next(iter(self._guests.get(address, ())), None)
