# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serial numbers of 20 bytes, which certificates of other CAs may have (RFC 5280)."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make room; SQLite takes a text of any length everywhere."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("certificates", "serial_number", type_=sa.String(40))
