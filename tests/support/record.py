"""The record behind the sessions, in this process: store, registry and authority with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, select

from capf.effects import Claim, Granted, Refused
from capf.model import Operation
from capf.registry import phones, schedule, sessions
from capf.registry.context import Context
from capf.store import schema
from capf.store.engine import Store

T = TypeVar("T")
NOW = 1_800_000_000.0
PHONE = "SEP001122334455"


@dataclass
class Record:
    """What a server process has behind its sessions."""

    store: Store
    context: Context
    times: list[float] = field(default_factory=lambda: [NOW])

    def run(self, job: Callable[[Connection], T]) -> T:
        """Run a job as the server does, with its commit."""
        return self.store.write(job)

    def add(self, name: str = PHONE, **settings: Any) -> None:
        """Register a phone."""
        self.run(lambda c: phones.ensure(c, self.context, [{"device_name": name, **settings}], "present", "test"))

    def plan(self, *names: str, operation: Operation = Operation.INSTALL, **request: Any) -> schedule.Plan:
        """Schedule an operation."""
        items = request.pop("items", None) or [{"device_name": name} for name in names or (PHONE,)]
        wanted = schedule.Request(operation, items, **request)
        return self.run(lambda c: schedule.schedule(c, self.context, wanted, "test"))

    def claim(self, name: str = PHONE, **credentials: Any) -> Granted | Refused:
        """Let a phone come."""
        version = credentials.pop("version", 3)
        wanted = Claim(name, version, 1, "192.0.2.1", **credentials)
        return self.run(lambda c: sessions.claim(c, self.context, wanted))

    def grant(self, name: str = PHONE, **credentials: Any) -> Granted:
        """Let a phone come that has to be let in."""
        decision = self.claim(name, **credentials)
        assert isinstance(decision, Granted), decision
        return decision

    def issue(self, operation_id: int, public_key: bytes) -> bytes | None:
        """Let a phone send its public key."""
        return self.run(lambda c: sessions.issue(c, self.context, operation_id, public_key))

    def confirm(self, operation_id: int) -> None:
        """Let a phone say that it has done it."""
        self.run(lambda c: sessions.confirm(c, self.context, operation_id))

    def install(self, name: str = PHONE, **credentials: Any) -> bytes:
        """Take a phone through a whole installation; returns the LSC."""
        granted = self.grant(name, **credentials)
        der = self.issue(granted.operation_id, public_key())
        assert der is not None
        self.confirm(granted.operation_id)
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

    def acts(self) -> list[str]:
        """Return what the audit table says was done."""
        return list(self.store.read(lambda c: c.execute(select(schema.audit.c.action)).scalars().all()))


def public_key(bits: int = 2048) -> bytes:
    """Return a new RSA public key as a phone sends it."""
    key = rsa.generate_private_key(65537, bits).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
