# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten wrong strings lock the phone for their address: across restarts, in parallel, visibly, removably (P4, P40)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, func, select

from capf.node import configuration
from capf.phone_session.wire import Command, Tag
from capf.store.schema import audit
from support.canary import STRING
from support.client import Client
from support.node import RunningNode
from support.plays import play, rhythm

A = "SEP00000000000A"
ELSEWHERE = "127.0.0.66"
WRONG = "0000"


def prepare(node: RunningNode) -> None:
    """Schedule an installation by string."""
    mode = {"authentication_mode": "By Authentication String", "key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": A, **mode}]})
    items = [{"device_name": A, "authentication_string": STRING}]
    node.ok("POST", "/operations", {"operation": "Install/Upgrade", "items": items})


def try_string(node: RunningNode, string: str, source: str = "") -> bool:
    """Send a string; return whether the claim is granted."""
    client = Client(node.capf_port, A, source=source)
    answer = client.authenticate(string)
    client.close()
    assert answer.command is Command.KEY_GENERATE_REQUEST or answer.elements[Tag.REASON] == b"\x07"
    return answer.command is Command.KEY_GENERATE_REQUEST


def acts(node: RunningNode, action: str) -> int:
    """Return the number of audit rows with an action."""
    engine = create_engine(configuration.load(node.config).database)
    with engine.connect() as connection:
        count = connection.execute(select(func.count()).where(audit.c.action == action)).scalar_one()
    engine.dispose()
    return count


def test_p4_a_lock_outlives_the_process(node: RunningNode) -> None:
    prepare(node)
    for _index in range(9):
        assert not try_string(node, WRONG)
    assert node.phone(A)["locked_until"] is None
    assert not try_string(node, WRONG)
    until = node.phone(A)["locked_until"]
    node.stop(9)
    node.start()
    assert until is not None
    assert node.phone(A)["locked_until"] == until
    assert not try_string(node, STRING)


def test_p4_how_long_a_lock_lasts_is_a_setting(node: RunningNode) -> None:
    text = node.config.read_text()
    node.config.write_text(text + "[authentication]\nlock_seconds = 1\n")
    node.stop()
    node.start()
    prepare(node)
    for _index in range(10):
        try_string(node, WRONG)
    time.sleep(2)
    assert try_string(node, STRING)


def test_p4_tries_are_counted_across_a_restart(node: RunningNode) -> None:
    prepare(node)
    for _index in range(9):
        try_string(node, WRONG)
    node.stop(9)
    node.start()
    try_string(node, WRONG)
    assert node.phone(A)["locked_until"] is not None


def test_p4_tries_in_parallel_cannot_exceed_the_limit(node: RunningNode) -> None:
    node.stop()
    node.configure("capf", maximum_sessions_per_device=60).start()
    prepare(node)
    clients = [Client(node.capf_port, A) for _index in range(60)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: client.authenticate(WRONG).elements[Tag.REASON], clients))
    assert answers == [b"\x07"] * 60
    assert acts(node, "lock phone") == 1
    metrics = node.api("GET", "/metrics", base="")[1]
    assert 'capf_refusals_total{reason="invalid authentication string"} 10.0' in metrics
    assert 'capf_refusals_total{reason="locked"} 50.0' in metrics and "capf_guessing_locks_total 1.0" in metrics
    assert not try_string(node, STRING)


def test_p4_a_lock_is_shown_and_lifted_by_module(node: RunningNode) -> None:
    prepare(node)
    for _index in range(10):
        try_string(node, WRONG)
    (shown,), _output = play(node, {"ucm.capf.phones_info": {}})
    until = node.phone(A)["locked_until"]
    assert until is not None
    assert shown["phones"][0]["locked_until"] == until
    _check, real, again = rhythm(node, "ucm.capf.phone_unlock", {"phones": [A]})
    assert (real["unlocked"], again["unlocked"]) == ([A], [])
    assert node.phone(A)["locked_until"] is None and acts(node, "unlock phone") == 1
    assert try_string(node, STRING)


def test_p4_a_phone_that_is_unknown_is_named(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.phone_unlock": {"phones": [A]}})
    assert result["failed"] and f"phones[0]: {A} is not registered" in result["msg"]


def test_p40_somebody_elsewhere_cannot_lock_a_phone_out(node: RunningNode) -> None:
    prepare(node)
    for _index in range(15):
        assert not try_string(node, WRONG, ELSEWHERE)
    assert not try_string(node, STRING, ELSEWHERE)
    assert node.phone(A)["locked_addresses"] == 1
    assert try_string(node, STRING)


def test_p40_a_used_up_day_is_a_metric_and_a_line_of_the_checklist(node: RunningNode) -> None:
    node.stop()
    node.configure("authentication", wrong_strings_per_day=5).start()
    prepare(node)
    for _index in range(8):
        assert not try_string(node, WRONG, ELSEWHERE)
    assert acts(node, "exhaust address") == 1
    assert "capf_guessing_exhaustions_total 1.0" in node.api("GET", "/metrics", base="")[1]
    (shown,), _output = play(node, {"ucm.capf.preflight_info": {}})
    assert any(
        f"reached their daily limit of wrong strings: {ELSEWHERE}" in item["message"] for item in shown["checklist"]
    )
    assert try_string(node, STRING)
