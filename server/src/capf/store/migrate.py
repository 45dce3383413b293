# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrates a database to the current schema; loaded only if that is necessary."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from capf.model import StoreUnavailableError


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the pending migrations up to a revision; StoreUnavailableError if a newer server has changed the schema."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreUnavailableError(f"the database has schema {found}, which is newer than this server")
    command.upgrade(config, revision)
    connection.commit()
