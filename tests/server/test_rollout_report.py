# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rollout: one row per phone, each wave with its verdict, the phones to visit (R16)."""

from __future__ import annotations

from capf.model import Operation, Outcome, operation_status
from capf.phone_session.effects import Refused
from capf.registry.parts import NOT_REGISTERED
from capf.registry.rollout import advice, rollout_report, show
from support import spreadsheet
from support.record import NOW, Record
from support.rollouts import (
    NAMES,
    NIGHT,
    abort,
    begin,
    enrol,
    fail,
    start,
    verdict,
)


def rows_of_report(record: Record) -> list[dict[str, str]]:
    """Return the rows of the report's CSV file."""
    text = record.store.read(lambda c: "".join(rollout_report.csv_pieces(c, NIGHT)))
    return spreadsheet.opened(text)


def test_r16_the_report_names_site_wave_tries_status_seconds_and_what_to_do(ready: Record) -> None:
    ready.add(NAMES[1], description="=HYPERLINK(1)")
    begin(ready, wave_size="11", spread_by="none")
    start(ready)
    ready.times[0] = NOW + 7
    enrol(ready, NAMES[0])
    rows = rows_of_report(ready)
    assert [row["Device Name"] for row in rows] == NAMES
    assert rows[0] == {
        "Device Name": NAMES[0], "Description": "", "Site": "Berlin", "Device Pool": "Berlin", "Wave": "1",
        "Tries": "1", "Part": "done", "Operation Status": "Upgrade Success", "Problem": "", "Refusals": "0",
        "Last Refusal": "", "Last Refusal At": "", "Last Refusal From": "", "Seconds": "7",
        "What To Do": "", "To Visit": "no",
    }  # fmt: skip
    assert rows[1]["What To Do"].startswith("the phone did not connect")
    assert (rows[1]["To Visit"], rows[1]["Description"]) == ("yes", "=HYPERLINK(1)")
    shown = [rows[11][title] for title in ("Part", "Operation Status", "To Visit")]
    assert shown == ["waiting", "wave not started", "no"]


def test_r16_the_report_has_each_wave_with_its_judgement(ready: Record) -> None:
    begin(ready, wave_size="6", spread_by="none", failure_limit="20%")
    first = start(ready)["wave"]["phones"]
    ready.times[0] = NOW + 40
    enrol(ready, *first)
    verdict(ready, 1, first[0])
    second = start(ready)["wave"]["phones"]
    fail(ready, second[0], Outcome.INVALID_MIC)
    enrol(ready, *second[2:])
    assert verdict(ready, 2)["stopped"]
    figures = ready.store.read(lambda c: rollout_report.figures(c, NIGHT))
    shown = [(wave["seconds"], wave["done"], wave["failed"], wave["unreached"], wave["judgement"])
             for wave in figures.state["waves"]]  # fmt: skip
    assert shown == [
        (40, 5, 1, 0, "passed: 1 of 6 phones not done, 1 allowed"),
        (0, 4, 1, 1, "stopped the rollout: 2 of 6 phones not done, 1 allowed"),
    ]
    assert figures.state["slowest"][0] == {"device_name": first[5], "seconds": 40}
    statuses = [operation_status(Operation.INSTALL, Outcome.INVALID_MIC), "Operation Pending"]
    assert figures.failures == {
        **{(status, advice.advice(status)): 1 for status in statuses},
        ("Upgrade Success", NOT_REGISTERED): 1,
    }
    assert [line.site for line in figures.visits] == sorted(line.site for line in figures.visits)


def test_r16_a_wave_that_runs_is_shown_as_it_is_now_and_a_second_try_is_not_judged(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    enrol(ready, *first[1:])
    assert judgements(ready) == ["in progress"]
    verdict(ready, 1)
    start(ready)
    verdict(ready, 2)
    assert judgements(ready) == [
        "passed: 1 of 12 phones not done, 12 allowed",
        "a retry is not judged: 1 of 1 phone not done",
    ]
    abort(ready)
    (left,) = [row for row in rows_of_report(ready) if row["Operation Status"] == "None"]
    assert (left["Device Name"], left["To Visit"]) == (first[0], "no") and "was cancelled" in left["What To Do"]


def judgements(record: Record) -> list[str]:
    """Return the verdict on each wave."""
    return [wave["judgement"] for wave in record.store.read(lambda c: show.state(c, NIGHT))["waves"]]


def test_p33_a_phone_that_was_refused_and_then_succeeds_is_done_and_its_refusals_are_shown(ready: Record) -> None:
    begin(ready, wave_size="6", failure_limit="0", retries=0)
    phones = start(ready)["wave"]["phones"]
    for name in phones:
        ready.claim(name, password="1", peer="203.0.113.9")
    enrol(ready, *phones[1:])
    ready.claim(phones[0], password="1", peer="203.0.113.9")
    state = ready.run(lambda c: show.state(c, NIGHT))
    assert (state["refusals"], state["counts"]["failed"], state["counts"]["done"]) == (7, 0, 5)
    enrol(ready, phones[0])
    assert not verdict(ready, 1)["stopped"]
    row = next(row for row in rows_of_report(ready) if row["Device Name"] == phones[0])
    assert (row["Operation Status"], row["Problem"], row["Refusals"]) == ("Upgrade Success", "", "2")
    assert row["Last Refusal"].startswith("Upgrade Failed: Invalid Authentication String: a string was sent")
    assert row["Last Refusal At"] and row["Last Refusal From"] == "203.0.113.9"


def test_p33_a_refused_phone_that_never_succeeds_ends_with_its_rollout(ready: Record) -> None:
    begin(ready, wave_size="12", failure_limit="0", retries=0)
    phones = start(ready)["wave"]["phones"]
    ready.claim(phones[0], password="1")
    assert verdict(ready, 1)["stopped"]
    operation = ready.operation(phones[0])
    assert (operation["state"], operation["status"]) == ("failed", "Upgrade Failed: Invalid Authentication String")
    assert ready.operation(phones[1])["state"] == "pending"
    assert isinstance(ready.claim(phones[0]), Refused)
