# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record behind the sessions in this process: store, registry and authority with simulated clocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, select

from capf.certificates.authority import Authority
from capf.certificates.secretbox import KEY_BYTES, SecretBox
from capf.model import Operation, Outcome
from capf.phone_session.effects import Claim, Confirm, Fail, Granted, Hold, Issue, Lost, Refused
from capf.process.refusal_counter import Refusals
from capf.registry import lifecycle, moment, parameter_changes, parameters, phones, refusals, schedule, sessions
from capf.registry.context import Context
from capf.registry.elapsed import Elapsed
from capf.registry.transaction import Transaction
from capf.store import schema
from capf.store.engine import Store

T = TypeVar("T")
NOW = 1_800_000_000.0
PHONE = "SEP001122334455"
BY_STRING = "By Authentication String"
CODE = "471147"


@dataclass
class Record:
    """The part of a server process behind its sessions.

    ``times`` contains the host's time of day, ``steady`` the seconds since it was booted.
    """

    store: Store
    context: Context
    times: list[float] = field(default_factory=lambda: [NOW])
    refusals: Refusals = field(default_factory=Refusals)
    stored: dict[Hold, str] = field(default_factory=dict)
    """The serial number of the latest certificate that was issued to each session."""
    steady: list[float] = field(default_factory=lambda: [0.0])

    def wait(self, seconds: float) -> None:
        """Advance both clocks."""
        self.times[0] += seconds
        self.steady[0] += seconds

    def run(self, job: Callable[[Connection], T]) -> T:
        """Run a job as the server does, and commit it."""
        return self.store.write(job)

    def add(self, name: str = PHONE, **settings: Any) -> None:
        """Register a phone."""
        self.run(
            lambda c: phones.ensure(
                Transaction(c, self.context, "test"), [{"device_name": name, **settings}], "present"
            )
        )

    def set_parameters(
        self, kind: parameters.Kind, wanted: Mapping[str, object]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Set parameters; return those that changed, before and after."""
        return self.run(lambda c: parameter_changes.change(Transaction(c, self.context, "test"), kind, wanted))

    def plan(self, *names: str, operation: Operation = Operation.INSTALL, **request: Any) -> schedule.Scheduled:
        """Schedule an operation."""
        items = request.pop("items", None) or [{"device_name": name} for name in names or (PHONE,)]
        text = request.pop("completes_by", None)
        completes_by = None if text is None else moment.parse(text, self.context.now)
        wanted = schedule.OperationRequest(
            operation, [schedule.RequestedPhone.of(item) for item in items], completes_by=completes_by, **request
        )
        return self.run(lambda c: schedule.schedule(Transaction(c, self.context, "test"), wanted))

    def plan_by_string(self, name: str = PHONE, **settings: Any) -> None:
        """Register a phone and schedule an installation by the string ``CODE``, which authenticates its sessions."""
        self.add(name, authentication_mode=BY_STRING, **settings)
        self.plan(items=[{"device_name": name, "authentication_string": CODE}], force=True)

    def claim(self, name: str = PHONE, **credentials: Any) -> Granted | Refused:
        """Make a phone send its claim; a refusal is counted immediately."""
        version, peer = credentials.pop("version", 3), credentials.pop("peer", "192.0.2.1")
        wanted = Claim(name, version, 1, peer, **credentials)
        decision = self.run(lambda c: sessions.claim(Transaction(c, self.context), wanted))
        if isinstance(decision, Refused):
            self.refusals.note(decision, peer, self.context.now)
            gathered = self.refusals.take()
            self.run(lambda c: refusals.write(Transaction(c, self.context), gathered))
        return decision

    def grant(self, name: str = PHONE, **credentials: Any) -> Granted:
        """Make a phone send a claim that must be granted."""
        decision = self.claim(name, **credentials)
        assert isinstance(decision, Granted), decision
        return decision

    def issue(self, hold: Hold, public_key: bytes) -> bytes | None:
        """Make a phone send its public key."""
        issued = self.run(lambda c: sessions.issue(Transaction(c, self.context), Issue(hold, public_key)))
        if issued is None:
            return None
        self.stored[hold] = issued.serial_number
        return issued.der

    def confirm(self, hold: Hold) -> None:
        """Make a phone confirm its operation."""
        self.run(lambda c: sessions.confirm(Transaction(c, self.context), Confirm(hold, self.stored.get(hold, ""))))

    def lose(self, hold: Hold) -> None:
        """Report the loss of a session."""
        self.run(lambda c: sessions.lost(Transaction(c, self.context), Lost(hold)))

    def fail(self, hold: Hold, outcome: Outcome = Outcome.FAILED, problem: str = "") -> None:
        """Report the failure of a session's operation."""
        self.run(lambda c: sessions.fail(Transaction(c, self.context), Fail(hold, outcome, problem)))

    def end_refused(self, *names: str) -> None:
        """End refused operations of phones, as the end of a rollout does."""
        identifiers = [self.operation(name)["id"] for name in names or (PHONE,)]
        self.run(lambda c: lifecycle.end_refused(Transaction(c, self.context), identifiers))

    def end_due(self) -> int:
        """End due operations, as the server does every second; return their number."""
        return self.run(lambda c: lifecycle.end_due(Transaction(c, self.context)))

    def install(self, name: str = PHONE, key: bytes | None = None, **credentials: Any) -> bytes:
        """Run a complete installation of a phone, with a new or a given RSA key; return the LSC."""
        granted = self.grant(name, **credentials)
        der = self.issue(granted.hold, key or public_key())
        assert der is not None
        self.confirm(granted.hold)
        return der

    def operation(self, name: str = PHONE) -> dict[str, Any]:
        """Return the phone's latest operation."""
        table = schema.operations
        query = select(table).where(table.c.device_name == name).order_by(table.c.id.desc()).limit(1)
        return dict(self.store.read(lambda c: c.execute(query).mappings().one()))

    def certificates(self, name: str = PHONE) -> dict[str, str]:
        """Return the states of the phone's certificates by serial number."""
        table = schema.certificates
        query = select(table).where(table.c.device_name == name)
        rows = self.store.read(lambda c: c.execute(query).mappings().all())
        return {row["serial_number"]: row["state"] for row in rows}

    def guesses(self, name: str = "") -> dict[str, dict[str, Any]]:
        """Return the tries for a phone, or for all phones, by address."""
        query = select(schema.guesses).where(schema.guesses.c.device_name == name)
        rows = self.store.read(lambda c: c.execute(query).mappings().all())
        return {row["address"]: dict(row) for row in rows}

    def acts(self) -> list[str]:
        """Return the actions in the audit table."""
        return list(self.store.read(lambda c: c.execute(select(schema.audit.c.action)).scalars().all()))


def claiming(context: Context, claim: Claim) -> Callable[[Connection], Granted | Refused]:
    """Return the job that decides on a claim."""
    return lambda c: sessions.claim(Transaction(c, context), claim)


@cache
def _moduli(bits: int) -> Iterator[int]:
    """Return the products of all pairs of primes, of which there are more whenever they are used up."""

    def made() -> Iterator[int]:
        known: list[int] = []
        while True:
            numbers = rsa.generate_private_key(65537, bits).private_numbers()
            for prime in (numbers.p, numbers.q):
                yield from [prime * other for other in known]
                known.append(prime)

    return made()


def public_key(bits: int = 2048) -> bytes:
    """Return a new RSA public key in the form that phones send; it may share a prime with others."""
    key = rsa.RSAPublicNumbers(65537, next(_moduli(bits))).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def recording(url: str, directory: Path, signer: tuple[Any, Any]) -> Iterator[Record]:
    """Open an empty record with simulated clocks; ``signer`` is a CAPF key and certificate."""
    times, steady = [NOW], [0.0]
    context = Context(
        authority=Authority(*signer, os.urandom),
        secrets=SecretBox(os.urandom(KEY_BYTES)),
        clock=lambda: times[0],
        first_node=True,
        trace_directory=directory / "trace",
        token_directory=directory / "tokens",
        elapsed=Elapsed(lambda: steady[0], lambda: "boot"),
    )
    store = Store(url)
    try:
        yield Record(store, context, times, steady=steady)
    finally:
        store.close()
