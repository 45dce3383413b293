# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions repeat their module until it has ended, at the pace of its progress, even through an outage."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

COUNTS = {"phones": 3, "waiting": 1, "in_flight": 1, "done": 1, "failed": 0, "unreached": 0, "skipped": 0}
RUNNING: dict[str, Any] = {
    "ended": False, "state": "running", "paused": False, "problem": "", "line": "in flight 1, done 1", "lines": [],
    "counts": COUNTS, "since": "1", "string_files": [],
}  # fmt: skip
DONE = {**RUNNING, "ended": True, "state": "done", "line": "done 3", "since": "2"}
PAUSED = {**RUNNING, "paused": True, "problem": "2 of 2 phones not done, 0 allowed"}
AWAY = {"failed": True, "unavailable": True, "msg": "the server cannot be reached"}
WAVE = {"ended": True, "counts": COUNTS, "phones_a_minute": 1.0, "seconds_left": 9, "waiting_for_string": []}
Run = Callable[..., tuple[dict[str, Any], list[dict[str, Any]], list[float]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs an action with the answers of its module.

    It returns the result, the options of each call, and the pauses. The clock moves by the pauses only.
    """

    def do(name: str, *answers: dict[str, Any], check_mode: bool = False, **given: Any) -> Any:
        action = importlib.import_module(f"ansible_collections.ucm.capf.plugins.action.{name}")
        left = list(answers)
        asked: list[dict[str, Any]] = []
        pauses: list[float] = []

        def execute(_module: str, options: dict[str, Any], **_other: Any) -> dict[str, Any]:
            asked.append(options)
            return dict(left.pop(0))

        task = SimpleNamespace(args={"name": "night", **given}, check_mode=check_mode, async_val=0)
        plugin = object.__new__(action.ActionModule)
        plugin._task = task
        monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_args, **_kwargs: {})
        monkeypatch.setattr(plugin, "_execute_module", execute)
        monkeypatch.setattr(time, "sleep", pauses.append)
        monkeypatch.setattr(time, "monotonic", lambda: 100.0 + sum(pauses))
        return plugin.run(task_vars={}), asked, pauses

    return do


def test_a_rollout_is_watched_until_it_has_ended_at_the_pace_of_its_progress(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    result, asked, pauses = run("rollout_watch", RUNNING, RUNNING, DONE, progress_interval=7)
    assert (result["state"], result["waited_seconds"], pauses) == ("done", 14, [7.0, 7.0])
    assert [options.get("since") for options in asked] == [None, "1", "1"]
    shown = capsys.readouterr().out
    assert "PROGRESS [the rollout night]" in shown and shown.count("in flight 1, done 1") == 1


def test_a_pause_ends_the_watch_without_a_failure(run: Run) -> None:
    result, _asked, pauses = run("rollout_watch", PAUSED)
    assert result["paused"] and not result.get("failed") and pauses == []


def test_the_files_of_all_answers_are_returned(run: Run) -> None:
    written = {**RUNNING, "string_files": ["b.csv", "a.csv"]}
    result, _asked, _pauses = run("rollout_watch", written, {**DONE, "string_files": ["a.csv"]})
    assert result["changed"] and result["string_files"] == ["a.csv", "b.csv"]
    assert not run("rollout_watch", DONE)[0]["changed"]


@pytest.mark.parametrize(("name", "last"), [("rollout_watch", DONE), ("rollout_wait", WAVE)])
def test_an_outage_is_survived_for_as_long_as_it_may_last(run: Run, name: str, last: dict[str, Any]) -> None:
    result, _asked, pauses = run(name, AWAY, AWAY, last, outage_seconds=10)
    assert result["ended"] and len(pauses) == 2
    result, _asked, pauses = run(name, *[AWAY] * 9, outage_seconds=10)
    assert result["failed"] and sum(pauses) == 15


@pytest.mark.parametrize("name", ["rollout_watch", "rollout_wait"])
def test_any_other_failure_ends_the_task_at_once(run: Run, name: str) -> None:
    aborted = {"failed": True, "code": "rollout_aborted", "msg": "the rollout 'night' was aborted by admin"}
    result, _asked, pauses = run(name, aborted)
    assert result["code"] == "rollout_aborted" and pauses == []


def test_check_mode_looks_once(run: Run) -> None:
    assert len(run("rollout_watch", RUNNING, check_mode=True)[1]) == 1
