# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables. Times are epoch seconds; the vocabulary is that of Unified CM (see ``capf.model``)."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

from capf.store.kinds import check

metadata = MetaData()
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

phones = Table(
    "phones",
    metadata,
    Column("device_name", String(64), primary_key=True),
    Column("description", Text, nullable=False, server_default=""),
    Column("device_pool", Text, nullable=False, server_default=""),
    Column("device_type", Text, nullable=False, server_default=""),
    Column("security_profile", Text, nullable=False, server_default=""),
    Column("device_security_mode", String(20), nullable=False),
    Column("mic", Boolean, nullable=False),
    Column("authentication_mode", String(60), nullable=False),
    Column("key_order", String(30), nullable=False),
    Column("key_size", Integer),
    Column("ec_key_size", Integer, nullable=False),
    Column("operation_id", BigInteger),
)


class PhoneRow(NamedTuple):
    """The columns of a row of ``phones`` that rules read; other columns need no line here."""

    device_name: str
    description: str
    device_pool: str
    device_type: str
    security_profile: str
    device_security_mode: str
    mic: bool
    authentication_mode: str
    key_order: str
    key_size: int | None
    ec_key_size: int
    operation_id: int | None


operations = Table(
    "operations",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("device_name", String(64), ForeignKey("phones.device_name", ondelete="CASCADE"), nullable=False),
    Column("operation", String(20), nullable=False),
    Column("authentication_mode", String(60), nullable=False),
    Column("authentication_string", LargeBinary),
    Column("key_order", String(30), nullable=False),
    Column("key_size", Integer, nullable=False),
    Column("ec_key_size", Integer, nullable=False),
    Column("completes_by", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("status", String(80), nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("lost_sessions", Integer, nullable=False, server_default="0"),
    Column("holder", String(160), nullable=False, server_default=""),
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("refused_at", BigInteger),
    Column("refused_from", String(64), nullable=False, server_default=""),
    Column("refused_as", String(80), nullable=False, server_default=""),
    Column("refused_because", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)
Index("operations_by_device", operations.c.device_name)
IS_OPEN = text("state IN ('pending', 'claimed', 'issued')")
"""The states of an open operation, spelled exactly as in the indexes, so that queries can use them."""
Index(
    "one_open_operation_a_phone",
    operations.c.device_name,
    unique=True,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
Index("open_operations_by_deadline", operations.c.completes_by, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)


class OperationRow(NamedTuple):
    """One row of ``operations``."""

    id: int
    device_name: str
    operation: str
    authentication_mode: str
    authentication_string: bytes | None
    key_order: str
    key_size: int
    ec_key_size: int
    completes_by: int
    state: str
    status: str
    problem: str
    lost_sessions: int
    holder: str
    claims: int
    refusals: int
    refused_at: int | None
    refused_from: str
    refused_as: str
    refused_because: str
    created_at: int
    ended_at: int | None


guesses = Table(
    "guesses",
    metadata,
    Column("address", String(64), primary_key=True),
    Column("device_name", String(64), primary_key=True),
    Column("operation_id", BigInteger),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("tries_to_lock", Integer, nullable=False, server_default="0"),
    Column("locks", Integer, nullable=False, server_default="0"),
    Column("locked_until", BigInteger, nullable=False, server_default="0"),
    Column("last_at", BigInteger, nullable=False, server_default="0"),
    Column("told_at", BigInteger),
    Column("minutes", Text, nullable=False, server_default=""),
)
Index("guesses_by_device", guesses.c.device_name)


class GuessRow(NamedTuple):
    """One row of ``guesses``."""

    address: str
    device_name: str
    operation_id: int | None
    tries: int
    tries_to_lock: int
    locks: int
    locked_until: int
    last_at: int
    told_at: int | None
    minutes: str


guessing_clock = Table(
    "guessing_clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seconds", BigInteger, nullable=False),
    Column("boot", String(64), nullable=False),
    Column("since_boot", BigInteger, nullable=False),
    Column("locks", BigInteger, nullable=False, server_default="0"),
    Column("exhaustions", BigInteger, nullable=False, server_default="0"),
)


class GuessingClockRow(NamedTuple):
    """One row of ``guessing_clock``."""

    id: int
    seconds: int
    boot: str
    since_boot: int
    locks: int
    exhaustions: int


certificates = Table(
    "certificates",
    metadata,
    Column("serial_number", String(40), primary_key=True),
    Column("device_name", String(64), nullable=False),
    Column("operation_id", BigInteger, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("issuer_key_id", String(64), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("issuer_not_after", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("ec", Boolean, nullable=False),
    Column("bits", Integer, nullable=False),
    Column("public_key_sha256", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
Index("certificates_by_device", certificates.c.device_name)
Index("certificates_by_key", certificates.c.public_key_sha256)
Index(
    "one_active_certificate_a_phone",
    certificates.c.device_name,
    unique=True,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)


class CertificateRow(NamedTuple):
    """One row of ``certificates``."""

    serial_number: str
    device_name: str
    operation_id: int
    der: bytes
    issuer_key_id: str
    issuer: str
    issuer_not_after: int
    not_before: int
    not_after: int
    ec: bool
    bits: int
    public_key_sha256: str
    state: str
    changed_at: int


audit = Table(
    "audit",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("device_name", String(64), nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("digest", String(64), nullable=False, server_default=""),
)


class AuditRow(NamedTuple):
    """One row of ``audit``."""

    id: int
    at: int
    actor: str
    action: str
    device_name: str
    detail: str
    digest: str


audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("value", Text, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", String(253), primary_key=True),
    Column("first_node", Boolean, nullable=False),
    Column("call_processing", Boolean, nullable=False),
    Column("tftp", Boolean, nullable=False),
    Column("administration_address", String(253), nullable=False),
    Column("administration_port", Integer, nullable=False),
    Column("administration_certificate", Text, nullable=False),
    Column("certificate", Text),
    Column("published_at", BigInteger),
    Column("ctl_sha256", String(64), nullable=False, server_default=""),
)


class NodeRow(NamedTuple):
    """One row of ``nodes``."""

    name: str
    first_node: bool
    call_processing: bool
    tftp: bool
    administration_address: str
    administration_port: int
    administration_certificate: str
    certificate: str | None
    published_at: int | None
    ctl_sha256: str


security_tokens = Table(
    "security_tokens",
    metadata,
    Column("slot", Integer, primary_key=True),
    Column("certificate", LargeBinary, nullable=False),
    Column("made_here", Boolean, nullable=False),
)


class SecurityTokenRow(NamedTuple):
    """One row of ``security_tokens``."""

    slot: int
    certificate: bytes
    made_here: bool


ctl_file = Table(
    "ctl_file",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("activations", Integer, nullable=False),
)


class CtlFileRow(NamedTuple):
    """One row of ``ctl_file``."""

    id: int
    data: bytes
    made_at: int
    activations: int


rollouts = Table(
    "rollouts",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("name", String(80), nullable=False),
    Column("state", String(10), nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("settings", Text, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("starts_at", BigInteger),
    Column("ends_at", BigInteger),
    Column("runner", String(80), nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_by", Text, nullable=False, server_default=""),
    Column("strategy", String(10), nullable=False, server_default="waves"),
    Column("watched_at", BigInteger),
    Column("paused_at", BigInteger),
    Column("pause", Text, nullable=False, server_default=""),
    Column("counted_from", BigInteger, nullable=False, server_default="0"),
    Column("leader", String(80), nullable=False, server_default=""),
    Column("leader_sign", BigInteger, nullable=False, server_default="0"),
    Column("changes", BigInteger, nullable=False, server_default="0"),
)
Index(
    "one_running_rollout_a_name",
    rollouts.c.name,
    unique=True,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)


class RolloutRow(NamedTuple):
    """One row of ``rollouts``."""

    id: int
    name: str
    state: str
    problem: str
    settings: str
    skipped: str
    starts_at: int | None
    ends_at: int | None
    runner: str
    seen_at: int
    created_at: int
    ended_at: int | None
    ended_by: str
    strategy: str
    watched_at: int | None
    paused_at: int | None
    pause: str
    counted_from: int
    leader: str
    leader_sign: int
    changes: int


rollout_waves = Table(
    "rollout_waves",
    metadata,
    Column("rollout_id", BigInteger, ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(10), nullable=False),
    Column("phones", Integer, nullable=False),
    Column("started_at", BigInteger),
    Column("ends_by", BigInteger),
    Column("judged_at", BigInteger),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("in_flight", Integer, nullable=False, server_default="0"),
    Column("unreached", Integer, nullable=False, server_default="0"),
    Column("skipped", Integer, nullable=False, server_default="0"),
    Column("judged", Integer),
    Column("failing", Integer),
    Column("allowed", Integer),
    Column("stopped", Boolean),
)


class WaveRow(NamedTuple):
    """One row of ``rollout_waves``."""

    rollout_id: int
    number: int
    kind: str
    phones: int
    started_at: int | None
    ends_by: int | None
    judged_at: int | None
    done: int
    failed: int
    in_flight: int
    unreached: int
    skipped: int
    judged: int | None
    failing: int | None
    allowed: int | None
    stopped: bool | None


rollout_phones = Table(
    "rollout_phones",
    metadata,
    Column("rollout_id", BigInteger, ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    Column("device_name", String(64), primary_key=True),
    Column("wave", Integer, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("operation_id", BigInteger),
    Column("security_mode_after", String(20), nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("turn", Integer, nullable=False, server_default="0"),
    Column("expected_seconds", Integer, nullable=False, server_default="0"),
    Column("by_string", Boolean, nullable=False, server_default=false()),
    Column("admitted_at", BigInteger),
    Column("reset_begun_at", BigInteger),
    Column("restarted_at", BigInteger),
    Column("seen_at", BigInteger),
    Column("registered_at", BigInteger),
    Column("uncertain", Boolean, nullable=False, server_default=false()),
    Column("owes_reset", Boolean, nullable=False, server_default=false()),
    Column("given_string", LargeBinary),
    Column("outcome", String(10), nullable=False, server_default=""),
    Column("outcome_at", BigInteger),
)
Index(
    "rollout_phones_by_turn",
    *(rollout_phones.c[name] for name in ("rollout_id", "admitted_at", "by_string", "turn")),
)
Index("rollout_phones_by_device", rollout_phones.c.device_name)

for _table in (phones, operations, certificates, rollout_waves, rollout_phones):
    for _column in _table.columns:
        check(_column)
