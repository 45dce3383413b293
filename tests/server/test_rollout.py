"""The rules of a rollout: order, waves, window, second tries, judgement, one leader at a time (R16, R18)."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf.model import ConflictError, InvalidRequestError, Operation, Outcome, State, operation_status
from capf.registry import parameters, sessions
from capf.registry import phones as registered
from capf.registry.rollout import advice, judge, lease, order, plan, report, show, waves
from capf.registry.rollout.settings import Settings
from capf.store import rollouts
from support.client import new_public_key
from support.record import NOW, Record

NAMES = [f"SEP0000000000{index:02X}" for index in range(12)]
NIGHT, RUN = "night", "run-1"
STRING = "By Authentication String"


@pytest.fixture
def ready(record: Record) -> Record:
    """A record with twelve phones of three sites, CAPF running."""
    for index, name in enumerate(NAMES):
        record.add(name, device_pool=["Berlin", "Oslo", "Rome"][index % 3], key_order="EC Only", ec_key_size=256)
    record.context.running = record.run(parameters.stored)
    return record


def begin(record: Record, *names: str, runner: str = RUN, rollout: str = NIGHT, **settings: Any) -> plan.Plan | None:
    """Begin a rollout; of all phones unless some are named."""
    modes = settings.pop("modes_after", {})
    request = plan.Request(rollout, runner, names or NAMES, Settings(**settings), modes)
    return record.run(lambda c: plan.begin(c, record.context, request, "admin"))


def start(record: Record, runner: str = RUN) -> dict[str, Any]:
    """Ask for the next wave."""
    return record.run(lambda c: waves.start(c, record.context, NIGHT, runner, {}, "admin"))


def enrol(record: Record, *names: str) -> None:
    """Install an LSC on each phone."""
    for name in names:
        granted = record.grant(name)
        assert record.issue(granted.operation_id, new_public_key())
        record.confirm(granted.operation_id)


def fail(record: Record, name: str, outcome: Outcome) -> None:
    """Let a phone's operation fail."""
    granted = record.grant(name)
    record.run(lambda c: sessions.fail(c, record.context, granted.operation_id, outcome, ""))


def verdict(record: Record, number: int, *missing: str) -> dict[str, Any]:
    """Judge a wave."""
    return record.run(lambda c: judge.judge(c, record.context, NIGHT, RUN, number, missing, "admin"))


def at(seconds: float) -> str:
    """Return a time of the test's clock as an administrator writes it."""
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


def problems(record: Record, **settings: Any) -> str:
    """Return what a refused rollout names."""
    with pytest.raises(InvalidRequestError) as refused:
        begin(record, **settings)
    return str(refused.value)


site_names = st.lists(st.sampled_from(["A", "B", "C", ""]), min_size=1, max_size=60)


@given(site_names, st.integers(0, 10), st.integers(1, 20))
def test_r16_every_phone_is_in_one_wave_and_no_site_is_lost_at_once(sites: list[str], pilot: int, size: int) -> None:
    site_of = {f"SEP{index:012X}": site for index, site in enumerate(sites)}
    cut = order.cut(order.spread(list(site_of), site_of), site_of, Counter(sites), pilot, size)
    assert sorted(name for wave in cut for name in wave) == sorted(site_of)
    for index, wave in enumerate(cut):
        assert 0 < len(wave) <= (pilot if pilot and not index else size)
        for site in set(sites) - {""}:
            here = sum(site_of[name] == site for name in wave)
            assert here <= (sites.count(site) + 1) // 2


def test_r16_a_wave_holds_the_same_share_of_every_site(ready: Record) -> None:
    made = begin(ready, wave_size="3")
    assert made is not None
    sites = [{ready_pool(ready, name) for name in names} for _kind, names in made.waves]
    assert sites == [{"Berlin", "Oslo", "Rome"}] * 4


def ready_pool(record: Record, name: str) -> str:
    """Return a phone's device pool."""
    return ["Berlin", "Oslo", "Rome"][NAMES.index(name) % 3]


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"wave_size": "5"}, [5, 5, 2]),
        ({"wave_size": "25%"}, [3, 3, 3, 3]),
        ({"wave_size": "6", "pilot_size": "2"}, [2, 6, 4]),
        ({"wave_size": "6", "pilot_size": "10%"}, [2, 6, 4]),
        ({"wave_size": "6", "open_sessions": 4}, [4, 4, 4]),
        ({"wave_size": "auto", "wave_seconds": 600, "window_end": at(3000)}, [3, 3, 3, 3]),
        ({"wave_size": "auto", "wave_seconds": 600, "window_end": at(3000), "more_tries": 0}, [3, 3, 3, 3]),
        ({"wave_size": "auto", "wave_seconds": 600, "window_end": at(2400), "pilot_size": "4"}, [4, 4, 4]),
    ],
)
def test_r16_the_size_of_a_wave_is_a_number_a_share_or_computed(
    ready: Record, settings: dict[str, Any], sizes: list[int]
) -> None:
    made = begin(ready, **settings)
    assert made is not None
    assert [len(names) for _kind, names in made.waves] == sizes
    assert [kind for kind, _names in made.waves][0] == ("pilot" if "pilot_size" in settings else "wave")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"wave_size": "0"}, "wave_size: '0' is refused; allowed: a number of phones such as 25, or a share"),
        ({"wave_size": "many"}, "wave_size: 'many' is refused"),
        ({"failure_limit": "101%"}, "failure_limit: '101%' is refused"),
        ({"wave_size": "auto"}, "wave_size: 'auto' is refused; allowed: auto only with window_end"),
        ({"spread_by": "floor"}, "spread_by: 'floor' is refused; allowed: device_pool, device_type"),
        ({"window_end": "dawn"}, "window_end: 'dawn' is refused; allowed: a date and time to come"),
        ({"window_end": at(-5)}, "allowed: a time to come, after window_start"),
        ({"window_start": at(100), "window_end": at(50)}, "allowed: a time to come, after window_start"),
        ({"rollout": "a/b"}, "name: 'a/b' is refused; allowed: a name of letters"),
        ({"modes_after": {NAMES[0]: "Secret"}}, f"security_mode_after of {NAMES[0]}: 'Secret' is refused"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_nothing_is_begun(
    ready: Record, settings: dict[str, Any], words: str
) -> None:
    assert words in problems(ready, **settings)
    assert ready.run(show.every) == []


def test_r16_phones_that_are_right_are_skipped_with_their_reason(ready: Record) -> None:
    ready.plan(NAMES[0])
    enrol(ready, NAMES[0])
    made = begin(ready)
    assert made is not None and made.skipped == {"LSC is right": [NAMES[0]]}
    assert NAMES[0] not in [name for _kind, names in made.waves for name in names]


def test_r16_without_a_phone_that_needs_an_lsc_no_rollout_is_begun(ready: Record) -> None:
    ready.plan(*NAMES)
    enrol(ready, *NAMES)
    made = begin(ready)
    assert made is not None and made.waves == [] and ready.run(show.every) == []


def test_r16_the_plan_of_a_dry_run_is_the_plan_of_the_run(ready: Record) -> None:
    request = plan.Request(NIGHT, RUN, NAMES, Settings(wave_size="5"))
    dry = asyncio.run(ready.store.adry_run(lambda c: plan.begin(c, ready.context, request, "admin")))
    assert ready.run(show.every) == []
    real = begin(ready, wave_size="5")
    assert dry is not None and real is not None and dry.waves == real.waves


def test_r16_completes_by_is_the_end_of_the_window(ready: Record) -> None:
    begin(ready, wave_size="6", window_end=at(7200))
    started = start(ready)["wave"]["phones"]
    assert {ready.operation(name)["completes_by"] for name in started} == {int(NOW) + 7200}


def test_r16_waves_are_scheduled_one_after_the_other(ready: Record) -> None:
    begin(ready, wave_size="6")
    first = start(ready)["wave"]
    assert (first["number"], len(first["phones"]), first["reset"]) == (1, 6, first["phones"])
    again = start(ready)["wave"]
    assert (again["number"], again["resumed"], again["phones"]) == (1, True, first["phones"])
    enrol(ready, *first["phones"])
    assert verdict(ready, 1) == {
        "counts": {"done": 6, "failed": 0, "pending": 0}, "allowed": 0, "stopped": False, "failing": [], "switched": [],
    }  # fmt: skip
    second = start(ready)["wave"]
    assert second["number"] == 2 and not set(second["phones"]) & set(first["phones"])
    enrol(ready, *second["phones"])
    verdict(ready, 2)
    assert start(ready) == {"wave": None, "ended": True, "wait_seconds": 0, "why": "all waves are done"}
    assert ready.run(lambda c: show.state(c, NIGHT))["state"] == "done"


def test_r16_too_many_failures_stop_it_and_each_status_says_what_to_do(ready: Record) -> None:
    begin(ready, wave_size="6", failure_limit="20%")
    phones = start(ready)["wave"]["phones"]
    fail(ready, phones[0], Outcome.INVALID_MIC)
    enrol(ready, *phones[2:])
    judged = verdict(ready, 1)
    assert (judged["allowed"], judged["stopped"]) == (1, True)
    assert [(item["device_name"], item["status"]) for item in judged["failing"]] == sorted(
        [(phones[0], "Upgrade Failed: Invalid MIC"), (phones[1], "Operation Pending")]
    )
    assert all(item["advice"] for item in judged["failing"])
    state = ready.run(lambda c: show.state(c, NIGHT))
    assert state["state"] == "stopped" and state["problem"].startswith("2 of 6 phones of wave 1 failed")
    with pytest.raises(ConflictError, match="no rollout 'night' is running"):
        start(ready)


def test_r16_the_pilot_is_judged_more_strictly(ready: Record) -> None:
    begin(ready, wave_size="10", pilot_size="2", pilot_failure_limit="0", failure_limit="50%")
    phones = start(ready)["wave"]["phones"]
    fail(ready, phones[0], Outcome.FAILED)
    enrol(ready, phones[1])
    assert verdict(ready, 1)["stopped"]


def test_r16_phones_for_which_another_try_may_help_get_it_in_the_window(ready: Record) -> None:
    begin(ready, wave_size="12", failure_limit="100%", spread_by="none")
    phones = start(ready)["wave"]["phones"]
    fail(ready, phones[0], Outcome.COMMUNICATION_FAILURE)
    fail(ready, phones[1], Outcome.INVALID_MIC)
    enrol(ready, *phones[3:])
    verdict(ready, 1)
    second = start(ready)["wave"]
    assert (second["kind"], second["phones"]) == ("retry", [phones[0], phones[2]])
    enrol(ready, phones[0])
    assert not verdict(ready, 2)["stopped"]
    assert start(ready)["ended"]
    state = ready.run(lambda c: show.state(c, NIGHT))
    counts = {"phones": 12, "done": 10, "failed": 1, "pending": 1, "not_begun": 0, "scheduled": 12}
    assert state["counts"] == counts
    assert [line["device_name"] for line in state["to_visit"]] == [phones[1], phones[2]]


def test_r16_no_wave_is_started_that_cannot_end_in_the_window(ready: Record) -> None:
    begin(ready, wave_size="6", wave_seconds=600, window_end=at(1000))
    phones = start(ready)["wave"]["phones"]
    enrol(ready, *phones)
    verdict(ready, 1)
    ready.times[0] = NOW + 500
    ended = start(ready)
    assert ended["ended"] and ended["why"] == "no further wave fits into the window"
    assert ready.run(lambda c: show.state(c, NIGHT))["state"] == "stopped"


def test_r16_nothing_is_started_before_the_window(ready: Record) -> None:
    begin(ready, wave_size="6", window_start=at(300), window_end=at(9000))
    early = start(ready)
    assert (early["wave"], early["wait_seconds"]) == (None, 300)
    ready.times[0] = NOW + 301
    assert start(ready)["wave"]["number"] == 1


def test_r16_waves_that_do_not_fit_are_warned_of(ready: Record) -> None:
    made = begin(ready, wave_size="3", wave_seconds=600, window_end=at(1300))
    assert made is not None and made.warnings[0].startswith("2 of 4 waves are sure to fit into the window")


def test_r16_open_sessions_are_limited_across_waves(ready: Record) -> None:
    begin(ready, wave_size="6", open_sessions=6, failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    ready.grant(first[0])
    verdict(ready, 1)
    waiting = start(ready)
    assert (waiting["wave"], waiting["ended"]) == (None, False)
    assert waiting["why"] == "1 sessions are open, 6 are allowed"


def test_r18_a_run_that_was_interrupted_is_taken_up_by_the_next(ready: Record) -> None:
    begin(ready, wave_size="6")
    first = start(ready)["wave"]["phones"]
    enrol(ready, first[0])
    with pytest.raises(ConflictError, match="another run of the rollout 'night' was active 0 s ago"):
        begin(ready, runner="run-2")
    ready.times[0] = NOW + lease.SECONDS
    assert begin(ready, runner="run-2", wave_size="1") is None
    wave = start(ready, "run-2")["wave"]
    assert (wave["number"], wave["resumed"], wave["phones"]) == (1, True, first)
    assert wave["reset"] == first[1:]
    assert len(ready.certificates(first[0])) == 1
    with pytest.raises(ConflictError, match="another run"):
        start(ready, RUN)


def test_r16_two_rollouts_over_the_same_phones_refuse_each_other(ready: Record) -> None:
    begin(ready, *NAMES[:6])
    with pytest.raises(ConflictError, match="2 of the phones are in the running rollout night"):
        begin(ready, *NAMES[4:9], rollout="other")
    assert begin(ready, *NAMES[6:], rollout="other") is not None


def test_r16_a_rollout_whose_window_is_over_stands_in_nobodys_way(ready: Record) -> None:
    begin(ready, window_end=at(100), wave_seconds=50)
    ready.times[0] = NOW + 200
    assert begin(ready, *NAMES[:2], rollout="other") is not None
    assert begin(ready, *NAMES[2:], runner="run-2") is not None
    states = [item["state"] for item in ready.run(show.every) if item["name"] == NIGHT]
    assert states == ["running", "stopped"]


def test_r16_abort_cancels_what_is_pending_and_leaves_sessions_alone(ready: Record) -> None:
    begin(ready, wave_size="6")
    phones = start(ready)["wave"]["phones"]
    enrol(ready, phones[0])
    granted = ready.grant(phones[1])
    aborted = ready.run(lambda c: judge.abort(c, ready.context, NIGHT, "admin"))
    assert aborted == (True, sorted(phones[2:]))
    assert ready.operation(phones[2])["state"] == State.CANCELLED
    ready.issue(granted.operation_id, new_public_key())
    ready.confirm(granted.operation_id)
    assert ready.operation(phones[1])["state"] == State.DONE
    state = ready.run(lambda c: show.state(c, NIGHT))
    assert (state["state"], state["problem"]) == ("aborted", "aborted by admin")
    assert ready.run(lambda c: judge.abort(c, ready.context, NIGHT, "admin")) == (False, [])


def test_r10_secure_phones_take_the_second_step_only_with_their_lsc(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%", modes_after=dict.fromkeys(NAMES, "Encrypted"))
    phones = start(ready)["wave"]["phones"]
    enrol(ready, *phones[1:])
    judged = verdict(ready, 1, phones[1])
    assert judged["switched"] == phones[2:]
    modes = {row["device_name"]: row["device_security_mode"] for row in members(ready)}
    assert modes[phones[0]] == modes[phones[1]] == "Non Secure" and modes[phones[2]] == "Encrypted"
    assert [item["advice"] for item in judged["failing"]][1] == advice.NOT_REGISTERED


def members(record: Record) -> Any:
    """Return the rollout's phones from the record itself."""
    return record.run(lambda c: rollouts.members(c, show.find(c, NIGHT)["id"]))


def test_phones_that_are_gone_or_right_by_now_are_noted_and_left_out(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none")
    ready.run(lambda c: registered.ensure(c, ready.context, [{"device_name": NAMES[0]}], "absent", "admin"))
    ready.plan(NAMES[1])
    enrol(ready, NAMES[1])
    assert start(ready)["wave"]["phones"] == NAMES[2:]
    state = ready.run(lambda c: show.state(c, NIGHT))
    assert state["by_status"] == {"LSC is right": 1, "Operation Pending": 10, "no longer registered with the server": 1}


def test_progress_shows_rate_time_left_and_who_has_not_entered_a_string(ready: Record) -> None:
    ready.add(NAMES[0], authentication_mode=STRING)
    begin(ready, wave_size="12", spread_by="none", wave_seconds=100)
    start(ready)
    enrol(ready, *NAMES[1:4])
    ready.times[0] = NOW + 30
    shown = ready.run(lambda c: waves.progress(c, ready.context, NIGHT, 1))
    assert shown["counts"] == {"phones": 12, "done": 3, "failed": 0, "pending": 9}
    assert (shown["phones_a_minute"], shown["seconds_left"], shown["ended"]) == (6.0, 70, False)
    assert shown["waiting_for_string"] == [NAMES[0]]
    ready.times[0] = NOW + 101
    assert ready.run(lambda c: waves.progress(c, ready.context, NIGHT, 1))["ended"]


def rows_of_report(record: Record) -> list[dict[str, str]]:
    """Return the rows of the report's CSV file."""
    text = record.store.read(lambda c: "".join(report.csv_pieces(c, NIGHT)))
    return list(csv.DictReader(io.StringIO(text), strict=True))


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
        "Tries": "1", "Operation Status": "Upgrade Success", "Problem": "", "Seconds": "7", "What To Do": "",
        "To Visit": "no",
    }  # fmt: skip
    assert rows[1]["What To Do"].startswith("the phone did not come")
    assert (rows[1]["To Visit"], rows[1]["Description"]) == ("yes", "'=HYPERLINK(1)")
    assert (rows[11]["Operation Status"], rows[11]["To Visit"]) == ("not begun", "no")


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
    figures = ready.store.read(lambda c: report.figures(c, NIGHT))
    shown = [(wave["seconds"], wave["done"], wave["failed"], wave["pending"], wave["judgement"])
             for wave in figures.state["waves"]]  # fmt: skip
    assert shown == [
        (40, 6, 0, 0, "passed: 1 not done, 1 allowed"),
        (0, 4, 1, 1, "stopped the rollout: 2 not done, 1 allowed"),
    ]
    assert figures.state["slowest"][0] == {"device_name": first[5], "seconds": 40}
    statuses = [operation_status(Operation.INSTALL, Outcome.INVALID_MIC), "Operation Pending"]
    assert figures.failures == {
        **{(status, advice.advice(status)): 1 for status in statuses},
        ("Upgrade Success", advice.NOT_REGISTERED): 1,
    }
    assert [line["site"] for line in figures.visits] == sorted(line["site"] for line in figures.visits)


def test_r16_a_wave_that_runs_is_shown_as_it_is_now_and_a_second_try_is_not_judged(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    enrol(ready, *first[1:])
    assert judgements(ready) == ["in progress"]
    verdict(ready, 1)
    start(ready)
    verdict(ready, 2)
    assert judgements(ready) == ["passed: 1 not done, 12 allowed", "a second try is not judged"]
    ready.run(lambda c: judge.abort(c, ready.context, NIGHT, "admin"))
    (left,) = [row for row in rows_of_report(ready) if row["Operation Status"] == "None"]
    assert (left["Device Name"], left["To Visit"]) == (first[0], "no") and "was cancelled" in left["What To Do"]


def judgements(record: Record) -> list[str]:
    """Return how each wave was judged."""
    return [wave["judgement"] for wave in record.store.read(lambda c: show.state(c, NIGHT))["waves"]]


def test_every_status_of_a_failed_installation_says_what_to_do() -> None:
    for outcome in Outcome:
        if not outcome.success:
            assert advice.advice(operation_status(Operation.INSTALL, outcome)) != advice.advice("never heard of")


def test_r22_no_wave_is_started_while_capf_does_not_run(ready: Record) -> None:
    begin(ready)
    ready.context.running = None
    with pytest.raises(ConflictError, match="the CAPF service does not run"):
        start(ready)
