# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first schema, spelled out so that later changes of the tables do not affect it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create every table of version 0.1."""
    _phones()
    _operations()
    _certificates()
    op.create_table(
        "audit",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("device_name", sa.String(64), nullable=False, server_default=""),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _phones() -> None:
    op.create_table(
        "phones",
        sa.Column("device_name", sa.String(64), primary_key=True),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("device_pool", sa.Text, nullable=False, server_default=""),
        sa.Column("device_type", sa.Text, nullable=False, server_default=""),
        sa.Column("security_profile", sa.Text, nullable=False, server_default=""),
        sa.Column("device_security_mode", sa.String(20), nullable=False),
        sa.Column("mic", sa.Boolean, nullable=False),
        sa.Column("authentication_mode", sa.String(60), nullable=False),
        sa.Column("key_order", sa.String(30), nullable=False),
        sa.Column("key_size", sa.Integer),
        sa.Column("ec_key_size", sa.Integer, nullable=False),
        sa.Column("operation_id", sa.BigInteger),
        sa.Column("wrong_strings", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locked_until", sa.BigInteger, nullable=False, server_default="0"),
    )


def _operations() -> None:
    owner = sa.ForeignKey("phones.device_name", ondelete="CASCADE")
    op.create_table(
        "operations",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("device_name", sa.String(64), owner, nullable=False),
        sa.Column("operation", sa.String(20), nullable=False),
        sa.Column("authentication_mode", sa.String(60), nullable=False),
        sa.Column("authentication_string", sa.LargeBinary),
        sa.Column("key_order", sa.String(30), nullable=False),
        sa.Column("key_size", sa.Integer, nullable=False),
        sa.Column("ec_key_size", sa.Integer, nullable=False),
        sa.Column("completes_by", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("status", sa.String(80), nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("lost_sessions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("operations_by_device", "operations", ["device_name"])
    _partial("one_open_operation_a_phone", "operations", "state IN ('pending', 'claimed', 'issued')")


def _certificates() -> None:
    op.create_table(
        "certificates",
        sa.Column("serial_number", sa.String(32), primary_key=True),
        sa.Column("device_name", sa.String(64), nullable=False),
        sa.Column("operation_id", sa.BigInteger, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("issuer_key_id", sa.String(64), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("issuer_not_after", sa.BigInteger, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("ec", sa.Boolean, nullable=False),
        sa.Column("bits", sa.Integer, nullable=False),
        sa.Column("public_key_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("certificates_by_device", "certificates", ["device_name"])
    op.create_index("certificates_by_key", "certificates", ["public_key_sha256"])
    _partial("one_active_certificate_a_phone", "certificates", "state = 'active'")


def _partial(name: str, table: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, ["device_name"], unique=True, sqlite_where=where, postgresql_where=where)
