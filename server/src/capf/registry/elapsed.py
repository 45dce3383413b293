# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elapsed time, by a clock that nobody can set.

A lock must not end early because the host's clock was set forward, nor last a year because it was set back. Locks are
therefore measured in the record's own seconds: they pass while a server of the record runs, according to its host's
clock since boot. After a restart on the same boot, the time in between counts too; after a reboot, or on another host,
the record's seconds continue from where they were last written. Servers that share a record use the highest count
among them. Each count is at most the time that has really passed, so none of them is ever ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from capf.store import guesses
from capf.store.schema import GuessingClockRow

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    """Return the id of the host's boot; without one, return a new id at every start."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Elapsed:
    """One server's view of the record's seconds."""

    def __init__(self, since_boot: Callable[[], float] = _since_boot, boot: Callable[[], str] = _boot) -> None:
        """``since_boot`` counts seconds and never jumps while ``boot`` returns the same name."""
        self._since_boot = since_boot
        self._boot = boot()
        self._ahead: int | None = None
        """How far the record's seconds are ahead of the host's."""

    def now(self, connection: Connection) -> int:
        """Return the record's seconds, rounded down."""
        return int(self.exactly(connection))

    def exactly(self, connection: Connection) -> float:
        """Return the record's seconds."""
        if self._ahead is None:
            self._ahead = self._recorded(guesses.clock(connection))
        return self._since_boot() + self._ahead

    def keep(self, connection: Connection) -> None:
        """Synchronise the record's count with this server's, and store it."""
        recorded = self._recorded(guesses.clock_to_write(connection))
        self._ahead = recorded if self._ahead is None else max(recorded, self._ahead)
        host = int(self._since_boot())
        guesses.set_clock(connection, host + self._ahead, self._boot, host)

    def _recorded(self, row: GuessingClockRow) -> int:
        """Return how far the record's count is ahead of the host's clock."""
        same = self._boot and row.boot == self._boot
        return int(row.seconds - (row.since_boot if same else int(self._since_boot())))
