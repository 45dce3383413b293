# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guessing the administrator's password is slowed down, and does not affect phones (P28)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from support.enrolment import PHONE, enrol, schedule
from support.node import RunningNode
from support.requesting import ADMINISTRATOR
from support.trouble import database

GUESSER = Path(__file__).parents[1] / "support" / "guesser.py"
TRIES, ADDRESSES, PHONES = 2000, 50, 20


@pytest.fixture
def only(tmp_path: Path) -> Iterator[RunningNode]:
    """An activated node with a separate database."""
    node = RunningNode(tmp_path / "node").start()
    node.activate()
    yield node
    node.stop()


def guesses(node: RunningNode) -> subprocess.Popen[str]:
    """Start guessing from many addresses."""
    argv: list[str | Path] = [sys.executable, GUESSER, str(node.port), str(TRIES), str(ADDRESSES)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(GUESSER.parents[1])})


def test_p28_phones_are_served_and_guessers_are_reported_to_wait(only: RunningNode) -> None:
    names = [f"SEP{index:012X}" for index in range(PHONES)]
    schedule(only, *names)
    guesser = guesses(only)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: enrol(only, name), names))
    output = guesser.communicate(timeout=300)[0]
    statuses = {int(status): int(count) for status, count in map(str.split, output.splitlines())}
    assert sum(statuses.values()) == TRIES and set(statuses) == {401, 429}
    assert statuses[401] <= ADDRESSES * 6 and statuses[429] > TRIES / 2
    assert {only.phone(name)["lsc"] for name in names} == {"Installed"}


def test_p28_an_address_is_slowed_down_and_a_password_that_was_right_before_is_not(only: RunningNode) -> None:
    statuses = [only.api("GET", "/service", password=f"wrong-{index}")[0] for index in range(40)]
    assert statuses[:5] == [401] * 5
    assert statuses.count(429) > 30
    assert only.api("GET", "/service")[0] == 200


def test_p28_tries_in_parallel_do_not_pass_the_limit(only: RunningNode) -> None:
    with ThreadPoolExecutor(16) as pool:
        tries = [pool.submit(only.api, "GET", "/service", password=f"wrong-{index}") for index in range(48)]
        statuses = [item.result()[0] for item in tries]
    assert statuses.count(401) <= 6 and set(statuses) == {401, 429}


def test_p28_every_audit_row_names_its_actor(only: RunningNode) -> None:
    schedule(only)
    enrol(only)
    only.ok("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}})
    only.ok("POST", "/service/restart", {})
    only.ok("POST", "/phones", {"phones": [{"device_name": PHONE}], "state": "absent"})
    engine = create_engine(database(only))
    with engine.connect() as connection:
        acts = [(row.actor, row.action) for row in connection.execute(text("SELECT actor, action FROM audit"))]
    engine.dispose()
    assert {actor for actor, _action in acts} == {"capf init", ADMINISTRATOR, "127.0.0.1", "capf"}
    by_whom = {action: actor for actor, action in acts}
    assert by_whom["claim operation"] == "127.0.0.1" and by_whom["issue certificate"] == "capf"
    assert {by_whom[action] for action in ("activate service", "restart service")} == {ADMINISTRATOR}
