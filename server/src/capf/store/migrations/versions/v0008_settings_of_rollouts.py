# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Store the settings of a rollout in parsed form: amounts as numbers or shares, times as epoch seconds."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
_AMOUNTS = ("wave_size", "pilot_size", "failure_limit", "pilot_failure_limit")
_MOMENTS = ("window_start", "window_end")


def upgrade() -> None:
    """Convert the rows; an unreadable row is left unchanged and reported as damaged."""
    rollouts = sa.table("rollouts", sa.column("id"), sa.column("settings"))
    connection = op.get_bind()
    for identifier, text in connection.execute(sa.select(rollouts.c.id, rollouts.c.settings)).all():
        try:
            read = json.dumps(_read(json.loads(text)))
        except (ValueError, TypeError, AttributeError, OverflowError, OSError):
            continue
        connection.execute(rollouts.update().where(rollouts.c.id == identifier).values(settings=read))


def _read(kept: dict[str, Any]) -> dict[str, Any]:
    renamed = {"renew_before" if name == "renew_before_days" else name: value for name, value in kept.items()}
    amounts = {name: _amount(renamed[name]) for name in _AMOUNTS if name in renamed}
    return renamed | amounts | {name: _moment(renamed[name]) for name in _MOMENTS if name in renamed}


def _amount(text: str) -> dict[str, int | bool] | None:
    return None if text == "auto" else {"number": int(text.rstrip("%")), "share": text.endswith("%")}


def _moment(text: str) -> int | None:
    return int(datetime.fromisoformat(text).timestamp()) if text else None
