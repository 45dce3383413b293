# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the administrator's password so that guessing costs the server little, whatever the number of tries (R17).

Only one password at a time goes through scrypt, so guessing uses only a part of one core. A password that was correct
before is recognised without scrypt.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from threading import Lock

from capf.addresses import counted_as
from capf.certificates.passwords import password_is_right
from capf.registry import account
from capf.store.engine import Store

_MOST_WAITING = 20
_REMEMBERED = 64


class Login(Enum):
    """The result of a login attempt."""

    RIGHT = "right"
    WRONG = "wrong"
    WAIT = "wait"


class LoginGuard:
    """Slows down guessing: an address with several wrong passwords has to wait, longer each time.

    ``clock`` is monotonic, in seconds.
    """

    _FREE_TRIES = 5
    _LONGEST_SECONDS = 60.0
    _ADDRESSES = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return the seconds that this address has to wait before its next try, 0 if none."""
        _tries, until = self._wrong.get(address, (0, 0.0))
        return max(0.0, until - self._clock())

    def wrong(self, address: str) -> None:
        """Count a wrong password."""
        tries = self._wrong.pop(address, (0, 0.0))[0] + 1
        pause = 0.0 if tries < self._FREE_TRIES else min(self._LONGEST_SECONDS, 2.0 ** (tries - self._FREE_TRIES))
        self._wrong[address] = (tries, self._clock() + pause)
        while len(self._wrong) > self._ADDRESSES:
            self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget the wrong passwords of an address."""
        self._wrong.pop(address, None)


class PasswordMemory:
    """Remembers correct passwords as keyed digests, so that the many requests of a playbook cost only one scrypt."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._lock = Lock()

    def _digest(self, password: str, kept: str) -> bytes:
        return hmac.digest(self._key, f"{kept}\0{password}".encode(), "sha256")

    def remembers(self, password: str, kept: str) -> bool:
        """Return whether the password was correct before, without scrypt."""
        return self._digest(password, kept) in self._known

    def forget(self) -> None:
        """Forget every password; thread-safe."""
        with self._lock:
            self._known.clear()

    def check(self, password: str, kept: str) -> bool:
        """Return whether the password is correct; thread-safe."""
        if self.remembers(password, kept):
            return True
        if not password_is_right(password, kept):
            return False
        digest = self._digest(password, kept)
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add(digest)
        return True


class Logins:
    """Authenticates the administrator for the API."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._passwords = PasswordMemory()
        self._guard = LoginGuard(time.monotonic)
        self._thread = ThreadPoolExecutor(1, "capf-password")
        self._waiting = 0
        self._turn = asyncio.Lock()

    def forget(self) -> None:
        """Forget the passwords that were right before; the next request of everybody is checked again."""
        self._passwords.forget()

    async def check(self, administrator: str, password: str, address: str) -> Login:
        """Check name and password. Addresses that guess have to wait; so do all others while too many wait."""
        known, kept = await self._store.aread(account.stored)
        name_is_right, place = hmac.compare_digest(administrator.encode(), known.encode()), counted_as(address)
        if name_is_right and self._passwords.remembers(password, kept):
            self._guard.right(place)
            return Login.RIGHT
        if self._guard.wait_seconds(place) or self._waiting >= _MOST_WAITING:
            return Login.WAIT
        self._waiting += 1
        try:
            async with self._turn:
                return await self._look(name_is_right, password, kept, place)
        finally:
            self._waiting -= 1

    async def _look(self, name_is_right: bool, password: str, kept: str, place: str) -> Login:
        """Check one password at a time; check the wait again, because the same address may have failed meanwhile."""
        known = name_is_right and self._passwords.remembers(password, kept)
        if not known and self._guard.wait_seconds(place):
            return Login.WAIT
        check = asyncio.get_running_loop().run_in_executor(self._thread, self._passwords.check, password, kept)
        right = await check and name_is_right
        (self._guard.right if right else self._guard.wrong)(place)
        return Login.RIGHT if right else Login.WRONG
