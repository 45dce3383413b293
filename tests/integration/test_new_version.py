# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new version of the server is installed beside the old one, which comes back if the new one does not start (P59).

The scenario `upgrade` does the same with systemd.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integration.test_deploy import Deployment, ask
from support import versions
from support.plays import ROOT

PHONE = "SEP001122334455"
MIGRATION = {
    "capf/store/migrations/versions/v9999_newer.py": (
        "import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = '9999', '{0}'\n\n\n"
        "def upgrade() -> None:\n    op.create_table('newer', sa.Column('id', sa.Integer, primary_key=True))\n"
        "    op.execute('DELETE FROM phones')\n"
    )
}
BROKEN = {
    "capf/process/server.py": "\n\nasync def _broken(self: Server) -> None:\n    raise CapfError('the new version is"
    " broken')\n\n\nServer.run = _broken  # type: ignore[method-assign]\n"
}


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Deployment]:
    """A deployed server with one phone; its wheelhouses are in a separate cache."""
    made = Deployment(tmp_path / "node")
    status, _changed, output = made.run()
    assert status == 0, output
    ask(made.administration, made.state, "POST", "/phones", {"phones": [{"device_name": PHONE}]})
    yield made
    if (made.state / "capf.pid").exists():
        os.kill(made.pid, signal.SIGTERM)


def used(node: Deployment) -> str:
    """Return the name of the version that a node uses."""
    return (node.directory / "server" / "current").readlink().name


def record(node: Deployment) -> tuple[str, int]:
    """Return the schema of a node's database, and the number of its phones."""
    with closing(sqlite3.connect(node.state / "capf.db")) as database:
        (version,), (phones,) = (
            database.execute(statement).fetchone()
            for statement in ("SELECT version_num FROM alembic_version", "SELECT count(*) FROM phones")
        )
        return version, phones


def answers(node: Deployment) -> bool:
    """Return whether the server answers, with CAPF activated."""
    return bool(ask(node.administration, node.state, "GET", "/service")["activated"])


def test_p59_a_version_that_does_not_start_makes_room_for_the_old_one_with_its_database(
    old: Deployment, tmp_path: Path
) -> None:
    before, was, text, cache = used(old), record(old), (old.directory / "capf.toml").read_text(), tmp_path / "cache"
    cache.mkdir()
    shutil.copy(ROOT / ".cache" / "wheelhouse" / f"{before}.tar", cache)
    migration = {name: body.format(was[0]) for name, body in MIGRATION.items()}
    broken, _name = versions.make(tmp_path / "broken", cache, before, migration | BROKEN)
    given: dict[str, Any] = {"capf_server_wheelhouse_cache": str(cache), "capf_server_answer_seconds": 10}
    status, _changed, output = old.run(collections=broken, **given, capf_server_lock_seconds=601)
    said = " ".join(output.split())
    assert status == 2 and "the new version is broken" in said, output
    assert "the earlier one runs again, with the database as it was before the upgrade" in said, output
    assert (used(old), record(old)) == (before, was) and was[1] == 1 and answers(old)
    assert (old.directory / "capf.toml").read_text() == text
    assert not (old.directory / "server" / "previous").is_symlink() and not (old.state / ".before-upgrade").exists()
    works, name = versions.make(tmp_path / "works", cache, before, migration)
    status, _changed, output = old.run(collections=works, **given)
    assert status == 0 and (used(old), record(old)) == (name, ("9999", 0)) and answers(old), output
    assert not (old.directory / "server" / "previous").is_symlink() and not (old.state / ".before-upgrade").exists()
    assert sorted(path.name for path in (old.directory / "server" / "releases").iterdir()) == sorted([before, name])
    assert old.run(collections=works, **given)[:2] == (0, 0)
