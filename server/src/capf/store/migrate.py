# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing a database's schema up to date; loaded only where that is due."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from capf.model import StoreUnavailableError


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database has not had; StoreUnavailableError where a newer server has changed it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreUnavailableError(f"the database has schema {found}, which is newer than this server knows")
    command.upgrade(config, "head")
    connection.commit()
