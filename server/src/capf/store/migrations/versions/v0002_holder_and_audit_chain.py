# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record which server holds an operation in a session, and chain the rows of the audit table."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and the chain's head."""
    op.add_column("operations", sa.Column("holder", sa.String(160), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("digest", sa.String(64), nullable=False, server_default=""))
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.execute("INSERT INTO audit_head (id, digest) VALUES (1, '')")
