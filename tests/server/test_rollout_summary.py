# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary of a rollout: what it says for every end, and that it stays short for any number of phones (P58)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, update

from capf.administration import rollouts
from capf.model import Operation, Outcome, State, operation_status
from capf.registry.rollout import plan, show
from capf.registry.rollout.settings import read
from capf.registry.transaction import Transaction
from capf.store import schema
from support.record import Record
from support.rollouts import NAMES, NIGHT, RUN, abort, at, begin, enrol, fail, start, verdict

MANY = [f"SEP100000000{index:03X}" for index in range(600)]


def summary_of(record: Record) -> dict[str, Any]:
    """Return the summary of the latest rollout."""
    shown: dict[str, Any] = record.run(lambda c: show.state(c, NIGHT))["summary"]
    return shown


def again(record: Record, *names: str, **settings: Any) -> dict[str, Any]:
    """Ask for a rollout as the API does, and return its answer."""
    request = plan.RolloutRequest(NIGHT, RUN, [], read(settings))
    selection = rollouts.Selection(names=names or NAMES)
    return record.run(lambda c: rollouts.begin_rollout(Transaction(c, record.context, "admin"), selection, request))


def all_done(record: Record) -> None:
    begin(record, wave_size="12", spread_by="none")
    start(record)
    enrol(record, *NAMES)
    verdict(record, 1)
    start(record)


def within_limits(record: Record) -> None:
    begin(record, wave_size="12", spread_by="none", failure_limit="3", retries=0)
    start(record)
    fail(record, NAMES[0], Outcome.INVALID_MIC)
    fail(record, NAMES[1], Outcome.INVALID_STRING)
    enrol(record, *NAMES[3:])
    verdict(record, 1)
    start(record)


def beyond_limits(record: Record) -> None:
    begin(record, wave_size="6", spread_by="none", failure_limit="0", retries=0)
    fail(record, start(record)["wave"]["phones"][0], Outcome.INVALID_MIC)
    verdict(record, 1)


def window_over(record: Record) -> None:
    begin(record, wave_size="6", spread_by="none", wave_seconds=600, window_end=at(900), failure_limit="100%")
    enrol(record, *start(record)["wave"]["phones"])
    verdict(record, 1)
    record.times[0] += 600
    assert start(record)["ended"]


def aborted(record: Record) -> None:
    begin(record, wave_size="6", spread_by="none")
    start(record)
    abort(record)


def interrupted(record: Record) -> None:
    begin(record, wave_size="6", spread_by="none")
    start(record)


Run = Callable[[Record], None]
ENDS: list[tuple[Run, str, bool, dict[str, int], str]] = [
    (all_done, "done", True, {"done": 12}, "nothing; each phone has its LSC, or was skipped"),
    (within_limits, "done", True, {"done": 9, "failed": 2, "unreached": 1}, "follow the advice for the 3 phones"),
    (beyond_limits, "stopped", False, {"failed": 1, "unreached": 5, "skipped": 6}, "once that is fixed, run the same"),
    (window_over, "stopped", False, {"done": 6, "skipped": 6}, "once that is fixed, run the same command again"),
    (aborted, "aborted", False, {"failed": 6, "skipped": 6}, "run the same command again to begin a rollout"),
    (interrupted, "running", False, {"in_flight": 6, "waiting": 6}, "run the same command again: it resumes"),
]


@pytest.mark.parametrize(("run", "state", "succeeded", "counts", "step"), ENDS, ids=[end[0].__name__ for end in ENDS])
def test_p58_the_summary_of_every_end(
    ready: Record, run: Run, state: str, succeeded: bool, counts: dict[str, int], step: str
) -> None:
    run(ready)
    found = summary_of(ready)
    assert (found["state"], found["succeeded"]) == (state, succeeded)
    assert {key: found[key] for key in counts} == counts and sum(counts.values()) == found["phones"] == 12
    text = "\n".join(found["lines"])
    assert found["next_step"].startswith(step) and text.endswith(f"Next step: {found['next_step']}.")
    assert text.startswith(f"Rollout {NIGHT}: {state}") and found["problem"] in text
    for word, key in (("Asked for", "phones"), ("Done", "done"), ("Failed", "failed"), ("Skipped", "skipped")):
        assert re.search(rf"^{word}: +{found[key]}\b", text, re.MULTILINE), text


def test_p58_a_run_with_nothing_to_do_says_so_and_names_no_directory_for_reports(ready: Record) -> None:
    all_done(ready)
    answer = again(ready)
    found = answer["summary"]
    assert answer["rollout"] is None and found["succeeded"] and not found["directory"]
    assert (found["state"], found["phones"], found["skipped"], found["installed"]) == ("nothing to do", 12, 12, 12)
    assert found["lines"] == [
        "Rollout night: nothing to do.",
        "Asked for:  12 phones, no waves",
        "Done:       0",
        "Failed:     0",
        "Unreached:  0",
        "Skipped:    12",
        "Skipped because:",
        "  12: LSC is right",
        "Next step: nothing; each phone has its LSC, or was skipped.",
    ]


def test_p58_phones_that_a_rollout_left_out_are_in_its_summary(ready: Record) -> None:
    within_limits(ready)
    found = again(ready)["summary"]
    assert (found["phones"], found["waiting"], found["skipped"], found["installed"]) == (12, 3, 9, 9)
    assert found["skipped_because"] == {"LSC is right": 9}


def test_p58_each_rollout_has_a_directory_of_its_own_with_its_time_in_the_name(ready: Record) -> None:
    beyond_limits(ready)
    first = summary_of(ready)["directory"]
    ready.times[0] += 1
    begin(ready)
    second = summary_of(ready)["directory"]
    assert first != second and all(
        re.fullmatch(r"night-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", name) for name in (first, second)
    )


def break_phones(connection: Connection) -> None:
    """Make the operations of 500 phones fail in as many ways as there are, and refuse others in 20 ways more."""
    ways = [operation_status(Operation.INSTALL, outcome) for outcome in Outcome if outcome is not Outcome.SUCCESS]
    for index, name in enumerate(MANY[:500]):
        wrong = update(schema.operations).where(schema.operations.c.device_name == name)
        problem = f"problem {index}: {'long ' * 100}"
        connection.execute(
            wrong.values(state=State.FAILED, status=ways[index % len(ways)], problem=problem, ended_at=1)
        )
    for index, name in enumerate(MANY[500:540]):
        note = update(schema.rollout_phones).where(schema.rollout_phones.c.device_name == name)
        connection.execute(note.values(note=f"refused: reason {index % 20} {'long ' * 100}", operation_id=None))
    for index, name in enumerate(MANY[540:580]):
        note = update(schema.rollout_phones).where(schema.rollout_phones.c.device_name == name)
        connection.execute(note.values(note=f"in another way {index % 20} {'long ' * 100}", operation_id=None))


def test_p58_the_summary_of_hundreds_of_failures_is_short(ready: Record) -> None:
    for name in MANY:
        ready.add(name, key_order="EC Only", ec_key_size=256)
    begin(ready, *MANY, wave_size="600", spread_by="none", failure_limit="100%", retries=0)
    planned = again(ready, *MANY)["plan"]["lines"]
    assert planned[0] == "Resuming the rollout night: 600 phones: 600 waiting."
    start(ready)
    ready.run(break_phones)
    judged = verdict(ready, 1)
    found = summary_of(ready)
    assert (found["phones"], found["failed"], found["unreached"], found["skipped"]) == (600, 540, 20, 40)
    assert len(found["lines"]) <= 24 and max(map(len, found["lines"])) <= 310
    text = "\n".join(found["lines"])
    assert "  56 failed: Upgrade Failed" in text and "and 53 more. To do: " in text
    assert re.search(r"  and \d+ phones for other reasons", text) and "  32: other reasons" in text
    assert len(judged["failing"]) == 560 and 0 < len(judged["lines"]) <= 6


def test_p58_a_cancelled_operation_is_named_by_what_happened(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%", retries=0)
    start(ready)
    ready.plan(NAMES[0], operation=Operation.NONE)
    enrol(ready, *NAMES[1:])
    verdict(ready, 1)
    text = "\n".join(summary_of(ready)["lines"])
    assert f"1 failed: cancelled by the administrator: {NAMES[0]}. To do: its operation was cancelled" in text
