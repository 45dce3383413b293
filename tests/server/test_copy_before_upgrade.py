# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copy of the database from before an upgrade comes back if the new version has migrated it (P59)."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from capf.administration import upgrade_copy
from capf.administration.backup.archive import passes
from capf.model import ConflictError
from capf.node.node_settings import NodeSettings
from capf.node.state import StateDirectory
from capf.store import copying, earlier
from capf.store.engine import newest_schema
from support.archives import make_node, settings_in
from support.stepping_down import capf

COUNT = "SELECT count(*) FROM phones"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a node with one phone."""
    return make_node(tmp_path_factory.mktemp("node") / "state").state_directory


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, node: Path) -> NodeSettings:
    """A copy of the node, on each kind of database."""
    made = settings_in(shutil.copytree(node, tmp_path / "state"))
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").new_database()
        copying.from_file(made.state_directory / "capf.db", url, ())
        made = replace(made, database=url)
    return made


def sql(settings: NodeSettings, *statements: str) -> list[object]:
    """Run statements in the database; return the first value of each one."""
    engine = create_engine(settings.database)

    def value(connection: Connection, statement: str) -> object:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None

    try:
        with engine.begin() as connection:
            return [value(connection, statement) for statement in statements]
    finally:
        engine.dispose()


def migrate(settings: NodeSettings) -> None:
    """Do what a newer version does that loses a phone."""
    sql(
        settings,
        "UPDATE alembic_version SET version_num = '9999'",
        "CREATE TABLE newer (id INTEGER PRIMARY KEY)",
        "ALTER TABLE phones ADD COLUMN newer INTEGER",
        "DELETE FROM operations",
        "DELETE FROM phones",
    )


def test_p59_a_database_that_a_newer_version_migrated_becomes_what_it_was(settings: NodeSettings) -> None:
    assert upgrade_copy.make(settings)
    migrate(settings)
    assert upgrade_copy.put_back(settings) and not upgrade_copy.put_back(settings)
    assert sql(settings, COUNT, "SELECT version_num FROM alembic_version") == [1, newest_schema()]
    engine = create_engine(settings.database)
    assert not inspect(engine).has_table("newer")
    engine.dispose()
    assert upgrade_copy.discard(settings) and not upgrade_copy.discard(settings)
    assert not upgrade_copy.put_back(settings)


def test_p59_without_a_migration_nothing_since_the_copy_is_lost(settings: NodeSettings) -> None:
    assert upgrade_copy.make(settings)
    sql(settings, "DELETE FROM operations", "DELETE FROM phones")
    assert not upgrade_copy.put_back(settings) and sql(settings, COUNT) == [0]


def test_p59_an_interrupted_put_back_is_repeated(settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert upgrade_copy.make(settings)
    migrate(settings)
    with monkeypatch.context() as broken:
        broken.setattr(os, "sync", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            upgrade_copy.put_back(settings)
    sql(settings, "DELETE FROM operations", "DELETE FROM phones")
    assert upgrade_copy.put_back(settings) and sql(settings, COUNT) == [1]


def test_p59_a_running_server_is_neither_copied_nor_replaced(settings: NodeSettings) -> None:
    assert upgrade_copy.make(settings)
    with StateDirectory(settings.state_directory).lock(), pytest.raises(ConflictError, match="another capf server"):
        upgrade_copy.put_back(settings)
    with StateDirectory(settings.state_directory).lock(), pytest.raises(ConflictError, match="another capf server"):
        upgrade_copy.make(settings)


def test_p59_a_database_that_others_use_is_not_put_back(
    settings: NodeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "_CLOSING_SECONDS", 0.5)
    assert upgrade_copy.make(settings)
    migrate(settings)
    engine = create_engine(settings.database)
    with engine.connect() as connection:
        connection.execute(text(COUNT))
        connection.rollback()
        if not settings.database.startswith(copying.SQLITE):
            with pytest.raises(ConflictError, match="other connections: 1; stop the other servers"):
                upgrade_copy.put_back(settings)
    engine.dispose()
    assert upgrade_copy.put_back(settings) and sql(settings, COUNT) == [1]


def test_p59_what_another_server_has_migrated_is_not_copied(settings: NodeSettings) -> None:
    migrate(settings)
    assert not upgrade_copy.make(settings) and not upgrade_copy.put_back(settings)
    assert not (settings.state_directory / upgrade_copy.DIRECTORY).exists()


def test_p59_the_command_copies_for_its_owner_alone_and_no_backup_contains_it(node: Path, tmp_path: Path) -> None:
    state = shutil.copytree(node, tmp_path / "state")
    config = tmp_path / "capf.toml"
    config.write_text(f"[server]\nstate_directory = {json.dumps(str(state))}\n")
    assert capf("database", "copy", "--config", config) == (0, '{"changed": true}\n', "")
    place = state / upgrade_copy.DIRECTORY
    assert place.stat().st_mode & 0o077 == 0
    assert [path.name for path in place.rglob("*") if not passes(PurePosixPath(path.relative_to(state)))] == []
    (state / "link").symlink_to(config)
    status, _output, errors = capf("database", "put-back", "--config", config)
    assert status == 1 and "link is a link" in errors
    (state / "link").unlink()
    assert capf("database", "discard", "--config", config) == (0, '{"changed": true}\n', "")
    assert not place.exists()
