"""Checking the administrator's password so that whoever guesses it costs little, whatever the number of tries (R17).

One password at a time goes through scrypt, so that guessing takes no more than a part of one core from the phones. A
password that was right before is known at once.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from concurrent.futures import ThreadPoolExecutor

from capf.accounts import Login, LoginGuard, PasswordMemory
from capf.addresses import counted_as
from capf.registry import account
from capf.store.engine import Store

_MOST_WAITING = 20


class Logins:
    """The administrator's account, as it is asked for by the API."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._passwords = PasswordMemory()
        self._guard = LoginGuard(time.monotonic)
        self._thread = ThreadPoolExecutor(1, "capf-password")
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def check(self, administrator: str, password: str, address: str) -> Login:
        """Check name and password; who tries passwords has to wait, and so does everybody new when many try."""
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
        """Take the password's turn; meanwhile another try from the same place may have been wrong."""
        known = name_is_right and self._passwords.remembers(password, kept)
        if not known and self._guard.wait_seconds(place):
            return Login.WAIT
        check = asyncio.get_running_loop().run_in_executor(self._thread, self._passwords.check, password, kept)
        right = await check and name_is_right
        (self._guard.right if right else self._guard.wrong)(place)
        return Login.RIGHT if right else Login.WRONG
