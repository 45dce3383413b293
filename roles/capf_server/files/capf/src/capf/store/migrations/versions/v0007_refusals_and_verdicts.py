"""What was refused of an operation, who guesses authentication strings, and how a wave was judged."""

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


def _guesses() -> None:
    """Nothing yet."""


def _rollout_waves() -> None:
    """Nothing yet."""
