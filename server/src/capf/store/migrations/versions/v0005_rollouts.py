# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables for rollouts, their waves and their phones."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "rollouts",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("skipped", sa.Text, nullable=False),
        sa.Column("starts_at", sa.BigInteger),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("runner", sa.String(80), nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    running = sa.text("state = 'running'")
    op.create_index(
        "one_running_rollout_a_name", "rollouts", ["name"], unique=True, sqlite_where=running, postgresql_where=running
    )
    _waves()
    _phones()


def _waves() -> None:
    op.create_table(
        "rollout_waves",
        sa.Column("rollout_id", sa.BigInteger, sa.ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("phones", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ends_by", sa.BigInteger),
        sa.Column("judged_at", sa.BigInteger),
        sa.Column("done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pending", sa.Integer, nullable=False, server_default="0"),
    )


def _phones() -> None:
    op.create_table(
        "rollout_phones",
        sa.Column("rollout_id", sa.BigInteger, sa.ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("device_name", sa.String(64), primary_key=True),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("operation_id", sa.BigInteger),
        sa.Column("security_mode_after", sa.String(20), nullable=False, server_default=""),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("rollout_phones_by_device", "rollout_phones", ["device_name"])
