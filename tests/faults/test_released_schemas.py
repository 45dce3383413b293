# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every released schema is migrated, and a newer one is refused (P27)."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from support.enrolment import enrol, is_ready
from support.node import CAPF, RunningNode
from support.postgresql import PostgreSQL
from support.trouble import database

DATA = Path(__file__).parents[1] / "data"
DONE, WAITING = "SEP001122334455", "SEP001122334466"
RELEASED = ("0001", "0002")
Restore = Callable[[str], RunningNode]


@pytest.fixture(params=["sqlite", "postgresql"])
def restore(request: pytest.FixtureRequest, tmp_path: Path, cluster: PostgreSQL) -> Iterator[Restore]:
    """Return a function that creates a node on a database at a schema revision."""
    made: list[RunningNode] = []

    def make(revision: str) -> RunningNode:
        dump = (DATA / f"schema_{revision}.{request.param}.sql").read_text()
        if request.param == "sqlite":
            state = tmp_path / "node" / "state"
            state.mkdir(parents=True)
            url = f"sqlite:///{state}/capf.db"
            with closing(sqlite3.connect(state / "capf.db")) as connection:
                connection.executescript(dump)
        else:
            url = cluster.new_database()
            engine = create_engine(url)
            with engine.begin() as connection:
                connection.exec_driver_sql(dump)
            engine.dispose()
        made.append(RunningNode(tmp_path / "node", database=url))
        return made[0]

    yield make
    for node in made:
        if node.process is not None:
            node.stop()


def capf(node: RunningNode, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the node's configuration."""
    return subprocess.run([CAPF, *argv, "--config", node.config], capture_output=True, text=True, check=False)


def parameter(node: RunningNode, name: str) -> Any:
    """Return a service parameter."""
    shown = node.ok("GET", "/service-parameters")["parameters"]
    return {item["name"]: item["value"] for item in shown}[name]


@pytest.mark.parametrize("revision", RELEASED)
def test_p27_a_released_schema_opens_with_all_its_rows(restore: Restore, revision: str) -> None:
    node = restore(revision).start()
    assert is_ready(node)
    done, waiting = node.phone(DONE), node.phone(WAITING)
    assert (done["lsc"], done["operation_status"], done["description"]) == ("Installed", "Upgrade Success", "Phone 0")
    assert (waiting["lsc"], waiting["operation_status"]) == ("Not Installed", "Operation Pending")
    assert parameter(node, "Key Size") == 3072


@pytest.mark.parametrize("revision", RELEASED)
def test_p27_work_goes_on_and_audit_rows_from_before_the_chain_verify(restore: Restore, revision: str) -> None:
    node = restore(revision).start()
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": WAITING, "key_order": "EC Only", "ec_key_size": 256}]})
    node.schedule(WAITING, key_order="EC Only", ec_key_size=256)
    enrol(node, WAITING)
    assert node.phone(WAITING)["lsc"] == "Installed"
    assert capf(node, "audit", "verify").returncode == 0


def test_p27_a_newer_schema_is_refused_by_name(restore: Restore) -> None:
    node = restore(RELEASED[-1])
    engine = create_engine(database(node))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    for command in (["serve"], ["audit", "verify"]):
        refused = capf(node, *command)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == "capf: the database has schema 9999, which is newer than this server"


def test_p27_the_dumps_are_of_the_revisions_that_they_name() -> None:
    for path in DATA.glob("schema_*.sql"):
        assert "INSERT INTO" in path.read_text() and f"'{path.name[7:11]}'" in path.read_text()
