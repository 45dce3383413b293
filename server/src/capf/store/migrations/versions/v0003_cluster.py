# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables for the cluster's nodes, the security tokens and the latest CTL file."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(253), primary_key=True),
        sa.Column("first_node", sa.Boolean, nullable=False),
        sa.Column("call_processing", sa.Boolean, nullable=False),
        sa.Column("tftp", sa.Boolean, nullable=False),
        sa.Column("administration_address", sa.String(253), nullable=False),
        sa.Column("administration_port", sa.Integer, nullable=False),
        sa.Column("administration_certificate", sa.Text, nullable=False),
        sa.Column("certificate", sa.Text),
        sa.Column("published_at", sa.BigInteger),
        sa.Column("ctl_sha256", sa.String(64), nullable=False, server_default=""),
    )
    op.create_table(
        "security_tokens",
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("made_here", sa.Boolean, nullable=False),
    )
    op.create_table(
        "ctl_file",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("activations", sa.Integer, nullable=False),
    )
