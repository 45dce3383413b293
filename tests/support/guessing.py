# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An attacker at one address who guesses authentication strings as well as the rules allow, by a simulated clock.

The attacker knows everything except the strings: each try comes at the first possible second, on another phone if one
is locked. If no phone accepts a try, an administrator schedules all operations again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from capf.model import Operation
from capf.phone_session.effects import Claim
from capf.registry import guessing, phones, schedule, sessions
from capf.registry.transaction import Transaction
from capf.store import rows
from capf.store.schema import guesses as table
from support.record import Record

ADDRESS = "192.0.2.66"
STRING, WRONG = "1234", "9999"
DAY = 86400
DAYS = 10
_ENOUGH = 1000
"""The number of consecutive phones that refuse before the attacker waits."""
FOUR_DIGITS, GENERATED = 10**4, 9 * 10**7
"""The number of strings with four digits, and of generated ones: eight digits, the first not 0."""
MODE = {"authentication_mode": "By Authentication String", "key_order": "EC Only", "ec_key_size": 256}


def prepare(record: Record, names: Sequence[str]) -> None:
    """Register phones, and schedule an operation by a string of 4 digits for each."""
    wanted = [{"device_name": name, **MODE} for name in names]
    record.run(lambda c: phones.ensure(Transaction(c, record.context, "test"), wanted, "present"))
    _schedule(record, names)


def _schedule(record: Record, names: Sequence[str]) -> None:
    items = [schedule.RequestedPhone(name, string=STRING) for name in names]
    wanted = schedule.OperationRequest(Operation.INSTALL, items, force=True)

    def again(connection: Connection) -> None:
        none = schedule.OperationRequest(Operation.NONE, [schedule.RequestedPhone(name) for name in names])
        schedule.schedule(Transaction(connection, record.context, "test"), none)
        schedule.schedule(Transaction(connection, record.context, "test"), wanted)

    record.run(again)


@dataclass
class Attack:
    """The attack on some phones; ``tries`` counts those that would have succeeded with the correct string."""

    record: Record
    names: Sequence[str]
    address: str = ADDRESS
    tries: dict[str, int] = field(default_factory=dict)
    _next: int = 0

    @property
    def total(self) -> int:
        """The total number of compared strings."""
        return sum(self.tries.values())

    def run(self, seconds: int) -> None:
        """Guess for this duration."""
        end = self.record.steady[0] + seconds
        while self.record.steady[0] < end:
            before = self.total
            self.record.run(self._guess_while_possible)
            if self.total == before:
                _schedule(self.record, list(self.tries))
                self.record.run(self._guess_while_possible)
            self.record.wait(min(self._next_end(), end) - self.record.steady[0])

    def _guess_while_possible(self, connection: Connection) -> None:
        """Try the phones alternately, until many in a row refuse."""
        refused = 0
        while refused < min(len(self.names), _ENOUGH):
            name = self.names[self._next % len(self.names)]
            self._next += 1
            refused = 0 if self._guess(connection, name) else refused + 1

    def _guess(self, connection: Connection, name: str) -> bool:
        """Send a wrong string if the correct one would be accepted; return whether it would be."""
        if not self._would_be_taken(connection, name):
            return False
        sessions.claim(Transaction(connection, self.record.context), Claim(name, 3, 1, self.address, password=WRONG))
        self.tries[name] = self.tries.get(name, 0) + 1
        return True

    def _would_be_taken(self, connection: Connection, name: str) -> bool:
        claim, phone = Claim(name, 3, 1, self.address, password=STRING), rows.claimant(connection, name)
        assert phone is not None and phone.operation is not None
        with _undone(connection):
            return guessing.may_try(
                Transaction(connection, self.record.context), claim, phone.operation, string_is_right=True
            )

    def _next_end(self) -> float:
        """Return the next time at which a lock of the attacker ends, or a wrong string is a day old."""
        now = self.record.steady[0]
        query = select(table.c.locked_until).where(table.c.address == self.address, table.c.locked_until > now)
        ends = self.record.store.read(lambda c: c.execute(query).scalars().all())
        return float(min(ends, default=now + DAY))


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """Roll back the changes of the block."""
    step = connection.begin_nested()
    try:
        yield
    finally:
        step.rollback()
