# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damage to the database or the state directory never stops administration (P36, P34)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support import damage
from support.asgi import Answer
from support.damage import OTHERS, A, B, Damage
from support.inprocess import InProcess

pytestmark = pytest.mark.slow

ACCOUNT = ("settings-password", "no-administrator", "no-password")
STRANGER = "settings-administrator"
"""With a different administrator, the login is wrong, but nothing is damaged."""
CONTAINS_1 = {"field": "authentication_string", "pattern": "contains", "value": "1"}
STRINGS = {"authentication_strings": True}
ASKED = [
    ("POST", "/api/v1/phones/find", {}),
    ("POST", "/api/v1/phones/find", STRINGS),
    ("POST", "/api/v1/phones/find", {"criteria": [CONTAINS_1]}),
    *(("POST", "/api/v1/reports/capf", {"format": kind, **STRINGS}) for kind in ("csv", "json", "html")),
    ("POST", "/api/v1/preflight", {"parameters": {"Key Size": 2048}}),
    ("POST", "/api/v1/operations", {"operation": "Install/Upgrade", "phones": [A, B], "dry_run": True}),
    ("POST", "/api/v1/operations/wait", {"phones": [A], "timeout": 0}),
    ("POST", "/api/v1/files/compare", {"files": {}}),
    ("PUT", "/api/v1/ctl-file", {"dry_run": True}),
    ("PUT", "/api/v1/capf-certificate", {"state": "active", "dry_run": True}),
    ("PUT", "/api/v1/trace", {"trace_on": True, "dry_run": True}),
    ("PUT", "/api/v1/service", {"activated": True, "dry_run": True}),
    ("POST", "/api/v1/service/restart", {"if_due": True, "dry_run": True}),
    ("PUT", f"/api/v1/rollouts/{damage.ROLLOUT}", {"runner": "run-1", "phones": [{"device_name": B}], "dry_run": True}),
    ("POST", f"/api/v1/rollouts/{damage.ROLLOUT}/waves", {"runner": "run-1"}),
    ("POST", f"/api/v1/rollouts/{damage.ROLLOUT}/abort", {"runner": "run-1"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a node with every kind of file and row."""
    return damage.make(tmp_path_factory.mktemp("whole"))


def each(whole: Path) -> dict[str, Damage]:
    """Return every damage by its name."""
    return {item.what: item for item in (*damage.of_settings(whole), *OTHERS)}


_GETS: list[str] = []
"""The paths of the OpenAPI document that can be read; it costs a second, and does not depend on the state."""


async def gets(node: InProcess) -> list[str]:
    """Return all paths that can be read."""
    if not _GETS:
        document = (await node.ask("GET", "/openapi.json", base="")).json
        _GETS.extend(path for path, operations in document["paths"].items() if "get" in operations)
    return _GETS


async def walk(node: InProcess) -> dict[str, Answer]:
    """Send every request of the OpenAPI document without a body, and those that read most."""
    answers = {}
    for path in await gets(node):
        filled = path.replace("{name}", "capf.log" if "trace" in path else damage.ROLLOUT)
        answers[path] = await node.ask("GET", filled, base="")
    for method, path, body in ASKED:
        answers[f"{method} {path} {body}"] = await node.ask(method, path, body, base="")
    return answers


def names(answers: dict[str, Answer]) -> list[str]:
    """Return the problems in the state of the service and in the readiness."""
    ready = answers["/readyz"].json
    service = answers["/api/v1/service"]
    faults = [f"{item['where']}: {item['problem']}" for item in service.json.get("faults", ())]
    return [*ready["problems"], *ready["warnings"], *faults]


async def after(state: Path) -> dict[str, Answer]:
    """Start a node on a state, and send all requests."""
    node = await InProcess(state).begin()
    try:
        return await walk(node)
    finally:
        await node.close()


def check(item: Damage, answers: dict[str, Answer]) -> None:
    """Check that no request failed unexpectedly, and that the damage is reported."""
    broken = {asked: answer.body for asked, answer in answers.items() if answer.status == 500 or not answer.whole}
    assert broken == {}
    assert answers["/healthz"].status == 200
    if item.what == STRANGER:
        assert answers["/api/v1/service"].status in (401, 429)
        return
    account = item.what in ACCOUNT
    assert answers["/api/v1/service"].status == (409 if account else 200)
    said = names(answers)
    assert item.named is None or any(item.named in text for text in said), said
    if item.named is None:
        assert said == []
    if not account:
        shown = answers["/api/v1/service"].json
        assert shown["running"] is not item.stops_capf
        assert answers["/readyz"].status == (503 if item.stops_capf else 200)
        assert item.named is None or any(item.named in f"{fault}" and fault["todo"] for fault in shown["faults"])
        checklist = answers["POST /api/v1/preflight {'parameters': {'Key Size': 2048}}"].json["checklist"]
        assert [entry["result"] for entry in checklist if entry["name"] == "Keys and database"] != [
            "ok"
        ] or not item.named


def test_p36_the_whole_node_has_no_fault(whole: Path, tmp_path: Path) -> None:
    answers = asyncio.run(after(damage.copy(whole, tmp_path)))
    assert names(answers) == [] and {answer.status for answer in answers.values()} <= {200, 409, 422}


def test_p36_every_kind_of_settings_row_is_damaged(whole: Path) -> None:
    assert {f"settings-{name}" for name in damage.SETTINGS_SEEN} <= set(each(whole))


@pytest.mark.parametrize("what", [item.what for item in OTHERS])
def test_p36_no_damage_takes_administration_down(what: str, whole: Path, tmp_path: Path) -> None:
    state, item = damage.copy(whole, tmp_path), each(whole)[what]
    item.do(state)
    check(item, asyncio.run(after(state)))


@pytest.mark.parametrize("what", damage.WRONG_KINDS)
def test_p36_a_value_of_the_wrong_kind_is_named(what: str, whole: Path, tmp_path: Path) -> None:
    state = damage.copy(whole, tmp_path)
    damage.WRONG_KINDS[what](state)
    answers = asyncio.run(after(state))
    assert {asked: answer.body for asked, answer in answers.items() if answer.status == 500 or not answer.whole} == {}
    assert answers["/api/v1/service"].json["running"] is True
    table, column = what.split("-")
    named = f"table {table}, column {column}".encode()
    assert any(named in answer.body for answer in answers.values() if answer.status == 409)


@pytest.mark.parametrize("part", range(3))
def test_p36_no_settings_row_takes_administration_down(part: int, whole: Path, tmp_path: Path) -> None:
    for index, item in enumerate(damage.of_settings(whole)):
        if index % 3 == part:
            state = damage.copy(whole, tmp_path / str(index))
            item.do(state)
            check(item, asyncio.run(after(state)))
