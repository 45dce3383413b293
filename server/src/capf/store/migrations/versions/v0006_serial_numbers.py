# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Allow serial numbers of 20 bytes, as in certificates of other CAs (RFC 5280)."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Widen the columns; SQLite does not limit the length of a text."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("certificates", "serial_number", type_=sa.String(40))
