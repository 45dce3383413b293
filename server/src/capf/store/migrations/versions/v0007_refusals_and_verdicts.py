# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record refusals of operations, guesses of authentication strings, and the judgement of each wave."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Change the tables."""
    _operations()
    _guesses()
    _rollout_waves()


def _operations() -> None:
    op.add_column("operations", sa.Column("claims", sa.Integer, nullable=False, server_default="0"))
    op.add_column("operations", sa.Column("refusals", sa.Integer, nullable=False, server_default="0"))
    op.add_column("operations", sa.Column("refused_at", sa.BigInteger))
    op.add_column("operations", sa.Column("refused_from", sa.String(64), nullable=False, server_default=""))
    op.add_column("operations", sa.Column("refused_as", sa.String(80), nullable=False, server_default=""))
    op.add_column("operations", sa.Column("refused_because", sa.Text, nullable=False, server_default=""))
    is_open = sa.text("state IN ('pending', 'claimed', 'issued')")
    op.create_index(
        "open_operations_by_deadline", "operations", ["completes_by"],
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip


def _guesses() -> None:
    """Lock a phone per address, timed by the record's clock."""
    op.drop_column("phones", "wrong_strings")
    op.drop_column("phones", "locked_until")
    op.create_table(
        "guesses",
        sa.Column("address", sa.String(64), primary_key=True),
        sa.Column("device_name", sa.String(64), primary_key=True),
        sa.Column("operation_id", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tries_to_lock", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locked_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("told_at", sa.BigInteger),
        sa.Column("minutes", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("guesses_by_device", "guesses", ["device_name"])
    clock = op.create_table(
        "guessing_clock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("since_boot", sa.BigInteger, nullable=False),
        sa.Column("locks", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("exhaustions", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.bulk_insert(clock, [{"id": 1, "seconds": 0, "boot": "", "since_boot": 0}])


def _rollout_waves() -> None:
    op.add_column("rollouts", sa.Column("ended_by", sa.Text, nullable=False, server_default=""))
    op.execute("ALTER TABLE rollout_waves RENAME COLUMN pending TO unreached")
    for name in ("in_flight", "skipped"):
        op.add_column("rollout_waves", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    for name in ("judged", "failing", "allowed"):
        op.add_column("rollout_waves", sa.Column(name, sa.Integer))
    op.add_column("rollout_waves", sa.Column("stopped", sa.Boolean))
