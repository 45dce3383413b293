# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's password is changed without the old one on the node, and with it by the API (R17, P89)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from capf.administration import new_node
from capf.administration.logins import Login, Logins
from capf.administration.password import ensure_password
from capf.model import InvalidRequestError
from capf.registry import account
from capf.store import schema
from capf.store.engine import Store
from support.inprocess import InProcess
from support.migrated import put_database
from support.requesting import ADMINISTRATOR, PASSWORD

NEW = "a new pass phrase"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with an administrator's account, on each of the databases."""
    if request.param == "sqlite":
        made = put_database(tmp_path)
    else:
        cluster = request.getfixturevalue("cluster")
        made = str(cluster.new_database(cluster.template))
    store = Store(made)
    store.write(lambda c: account.put(c, ADMINISTRATOR, PASSWORD, 1, "capf init"))
    store.close()
    return made


def ensure(url: str, password: str, name: str = ADMINISTRATOR, **options: bool) -> bool:
    """Set the password as the command line does."""
    return ensure_password(url, name, password, **{"rename": False, "dry_run": False, **options})


def acts(store: Store) -> list[Any]:
    """Return actor, action and detail of all audit rows."""
    columns = schema.audit.c.actor, schema.audit.c.action, schema.audit.c.detail
    return [tuple(row) for row in store.read(lambda c: c.execute(select(*columns)).all())]


def test_p89_the_node_s_owner_changes_the_password_and_the_old_one_ends(url: str) -> None:
    store = Store(url)
    logins = Logins(store)

    async def check(password: str) -> Login:
        return await logins.check(ADMINISTRATOR, password, "192.0.2.1")

    assert asyncio.run(check(PASSWORD)) is Login.RIGHT
    assert ensure(url, NEW, dry_run=True)
    assert asyncio.run(check(PASSWORD)) is Login.RIGHT
    assert ensure(url, NEW)
    assert asyncio.run(check(PASSWORD)) is Login.WRONG
    assert asyncio.run(check(NEW)) is Login.RIGHT
    assert not ensure(url, NEW)
    assert acts(store)[1:] == [("capf account password", account.CHANGED, "")]
    store.close()


def test_p89_a_name_that_is_not_the_administrator_s_changes_nothing(tmp_path: Path) -> None:
    url = put_database(tmp_path)
    store = Store(url)
    store.write(lambda c: account.put(c, ADMINISTRATOR, PASSWORD, 1, "capf init"))
    for name, password, words in (
        ("admim", NEW, "--rename"),
        (ADMINISTRATOR, "short", "at least 8 printable ASCII characters"),
    ):
        with pytest.raises(InvalidRequestError, match=words):
            ensure(url, password, name)
    assert len(acts(store)) == 1
    assert ensure(url, NEW, "chief", rename=True)
    assert not ensure(url, NEW, "chief")
    store.close()


def test_p89_the_api_changes_the_password_with_the_old_one(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    new_node.initialise(new_node.NewNode(directory, ADMINISTRATOR, PASSWORD, ["localhost"]), 1.7e9)

    async def ask() -> list[tuple[int, Any]]:
        node = await InProcess(directory).begin()
        try:
            bodies = [{"password": "short"}, {"password": PASSWORD}, {"password": NEW, "dry_run": True}]
            answers = [await node.ask("PUT", "/account/password", body) for body in (*bodies, {"password": NEW})]
            answers.append(await node.ask("GET", "/service"))
            return [(answer.status, answer.json) for answer in answers]
        finally:
            await node.close()

    short, same, dry, changed, after = asyncio.run(ask())
    assert short[0] == 422 and short[1]["error"]["problems"][0]["value"] == "(hidden)"
    assert [same, dry, changed] == [(200, {"changed": flag}) for flag in (False, True, True)]
    assert after[0] == 401
    store = Store(f"sqlite:///{directory}/capf.db")
    assert acts(store)[-1] == (ADMINISTRATOR, account.CHANGED, "")
    store.close()
