# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record what the server does with the phones of a rolling rollout: admission, reset, contact, outcome."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; earlier rollouts have waves, so their phones have no turn."""
    added: list[sa.Column[Any]] = [
        sa.Column("strategy", sa.String(10), nullable=False, server_default="waves"),
        sa.Column("watched_at", sa.BigInteger),
        sa.Column("paused_at", sa.BigInteger),
        sa.Column("pause", sa.Text, nullable=False, server_default=""),
        sa.Column("counted_from", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("leader", sa.String(80), nullable=False, server_default=""),
        sa.Column("leader_sign", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("changes", sa.BigInteger, nullable=False, server_default="0"),
    ]
    for column in added:
        op.add_column("rollouts", column)
    added = [
        sa.Column("turn", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expected_seconds", sa.Integer, nullable=False, server_default="0"),
        sa.Column("by_string", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("admitted_at", sa.BigInteger),
        sa.Column("reset_begun_at", sa.BigInteger),
        sa.Column("restarted_at", sa.BigInteger),
        sa.Column("seen_at", sa.BigInteger),
        sa.Column("registered_at", sa.BigInteger),
        sa.Column("uncertain", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("owes_reset", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("given_string", sa.LargeBinary),
        sa.Column("outcome", sa.String(10), nullable=False, server_default=""),
        sa.Column("outcome_at", sa.BigInteger),
    ]
    for column in added:
        op.add_column("rollout_phones", column)
    op.create_index("rollout_phones_by_turn", "rollout_phones", ["rollout_id", "admitted_at", "by_string", "turn"])
