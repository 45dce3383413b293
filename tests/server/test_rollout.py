# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of a rollout: order, waves, window, retries, judgement, one leader at a time (R16, R18)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf.model import ConflictError, Operation, Outcome, State, operation_status, status_of
from capf.registry import phones as registered
from capf.registry.parts import NOT_REGISTERED
from capf.registry.rollout import lease, order, show, waves
from capf.registry.transaction import Transaction
from support.client import new_public_key
from support.record import NOW, Record
from support.rollouts import (
    NAMES,
    NIGHT,
    RUN,
    STRING,
    abort,
    at,
    begin,
    dry_run,
    enrol,
    fail,
    members,
    numbers,
    problems,
    run_of,
    start,
    verdict,
)

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
    sites = [{ready_pool(ready, name) for name in wave.phones} for wave in made.waves]
    assert sites == [{"Berlin", "Oslo", "Rome"}] * 4


def test_r16_phones_that_are_named_first_come_first(ready: Record) -> None:
    made = begin(ready, *reversed(NAMES), wave_size="3")
    assert [set(wave.phones) for wave in made.waves] == [set(NAMES[start : start + 3]) for start in (9, 6, 3, 0)]


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
        ({"wave_size": "auto", "wave_seconds": 600, "window_end": at(3000), "retries": 0}, [3, 3, 3, 3]),
        ({"wave_size": "auto", "wave_seconds": 600, "window_end": at(2400), "pilot_size": "4"}, [4, 4, 4]),
    ],
)
def test_r16_the_size_of_a_wave_is_a_number_a_share_or_computed(
    ready: Record, settings: dict[str, Any], sizes: list[int]
) -> None:
    made = begin(ready, **settings)
    assert [len(wave.phones) for wave in made.waves] == sizes
    assert made.waves[0].kind == ("pilot" if "pilot_size" in settings else "wave")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"wave_size": "0"}, "wave_size: '0' is refused; allowed: a number of phones such as 25, or a percentage"),
        ({"wave_size": "many"}, "wave_size: 'many' is refused"),
        ({"failure_limit": "101%"}, "failure_limit: '101%' is refused"),
        ({"wave_size": "auto"}, "wave_size: auto needs window_end; set it, or give a number of phones or a percentage"),
        ({"spread_by": "floor"}, "spread_by: 'floor' is refused; allowed: device_pool, device_type"),
        ({"window_end": "dawn"}, "window_end: 'dawn' is refused; allowed: a future date and time"),
        ({"window_end": at(-5)}, "is past, or before window_start; give a future time, after window_start"),
        (
            {"window_start": at(100), "window_end": at(50)},
            "is past, or before window_start; give a future time, after window_start",
        ),
        ({"rollout": "a/b"}, "name: 'a/b' is refused; allowed: 1 to 80 letters"),
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
    assert made.skipped == {"LSC is right": [NAMES[0]]}
    assert NAMES[0] not in [name for wave in made.waves for name in wave.phones]


def test_r16_without_a_phone_that_needs_an_lsc_no_rollout_is_begun(ready: Record) -> None:
    ready.plan(*NAMES)
    enrol(ready, *NAMES)
    made = begin(ready)
    assert made.waves == [] and ready.run(show.every) == []


def test_r16_the_plan_of_a_dry_run_is_the_plan_of_the_run(ready: Record) -> None:
    dry = dry_run(ready, wave_size="5")
    assert ready.run(show.every) == []
    assert dry == begin(ready, wave_size="5")


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
        "counts": numbers(done=6), "judged": 6, "allowed": 0, "stopped": False, "failing": [], "lines": [],
        "switched": [],
        "judgement": "passed: 0 of 6 phones not done, 0 allowed", "problem": "",
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
    assert state["state"] == "stopped" and state["ended_by"] == "admin"
    assert state["problem"] == "wave 1 stopped the rollout: 2 of 6 phones not done, 1 allowed"
    with pytest.raises(ConflictError, match=r"the rollout 'night' was stopped at 2027-.*: wave 1 stopped the rollout"):
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
    assert (state["counts"], state["scheduled"]) == (numbers(done=10, failed=1, unreached=1), 12)
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
    assert made.warnings[0].startswith("2 of 4 waves will certainly fit into the window")


def test_r16_open_sessions_are_limited_across_waves(ready: Record) -> None:
    begin(ready, wave_size="6", open_sessions=6, failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    ready.grant(first[0])
    verdict(ready, 1)
    waiting = start(ready)
    assert (waiting["wave"], waiting["ended"]) == (None, False)
    assert waiting["why"] == "1 session open, 6 allowed"


def test_r18_a_run_that_was_interrupted_is_taken_up_by_the_next(ready: Record) -> None:
    begin(ready, wave_size="6")
    first = start(ready)["wave"]["phones"]
    enrol(ready, first[0])
    with pytest.raises(ConflictError, match="another run of the rollout 'night' was active 0 s ago"):
        begin(ready, runner="run-2")
    ready.times[0] = NOW + lease.SECONDS
    assert begin(ready, runner="run-2", wave_size="1").resumed
    wave = start(ready, "run-2")["wave"]
    assert (wave["number"], wave["resumed"], wave["phones"]) == (1, True, first)
    assert wave["reset"] == first[1:]
    assert len(ready.certificates(first[0])) == 1
    with pytest.raises(ConflictError, match="another run"):
        start(ready, RUN)


def test_r18_a_run_that_does_not_go_on_stands_in_nobodys_way(ready: Record) -> None:
    begin(ready)

    def release(runner: str) -> bool:
        run = run_of(ready, runner)
        return ready.run(lambda c: lease.release(Transaction(c, ready.context), run))

    assert not release("run-2")
    with pytest.raises(ConflictError, match="another run"):
        begin(ready, runner="run-2")
    assert release(RUN) and not release(RUN)
    assert begin(ready, runner="run-2").resumed
    assert not release(RUN)
    with pytest.raises(ConflictError, match="another run"):
        start(ready, RUN)


def test_r18_a_run_that_takes_a_rollout_up_hears_what_comes_too_late_for_it(ready: Record) -> None:
    begin(ready, *NAMES[:6], wave_size="3")
    ready.times[0] = NOW + lease.SECONDS
    assert begin(ready, *NAMES[:6], runner="run-2", wave_size="3").warnings == []
    assert begin(ready, *NAMES[:8], runner="run-2", wave_size="1").warnings == [
        "wave_size stays '3', as when the rollout began; '1' is for the next one",
        f"2 phones without an LSC not in the resumed rollout, among them {NAMES[6]}, {NAMES[7]};"
        " run the command again for them after its end",
    ]


def test_r16_two_rollouts_over_the_same_phones_refuse_each_other(ready: Record) -> None:
    begin(ready, *NAMES[:6])
    with pytest.raises(ConflictError, match="2 of the phones are in the running rollout night"):
        begin(ready, *NAMES[4:9], rollout="other")
    assert begin(ready, *NAMES[6:], rollout="other").waves


def test_r16_a_rollout_whose_window_is_over_stands_in_nobodys_way(ready: Record) -> None:
    begin(ready, window_end=at(100), wave_seconds=50)
    ready.times[0] = NOW + 200
    assert not begin(ready, *NAMES[:2], rollout="other").resumed
    assert not begin(ready, *NAMES[2:], runner="run-2").resumed
    states = [item["state"] for item in ready.run(show.every) if item["name"] == NIGHT]
    assert states == ["running", "stopped"]


def test_r16_abort_cancels_what_is_pending_and_leaves_sessions_alone(ready: Record) -> None:
    begin(ready, wave_size="6")
    phones = start(ready)["wave"]["phones"]
    enrol(ready, phones[0])
    granted = ready.grant(phones[1])
    assert ready.issue(granted.hold, new_public_key())
    aborted = abort(ready)
    assert (aborted.changed, aborted.cancelled, aborted.in_session) == (True, phones[2:], [phones[1]])
    assert ready.operation(phones[2])["state"] == State.CANCELLED
    ready.confirm(granted.hold)
    assert ready.operation(phones[1])["state"] == State.DONE
    state = ready.run(lambda c: show.state(c, NIGHT))
    assert (state["state"], state["ended_by"]) == ("aborted", "admin")
    assert not abort(ready).changed


def test_r10_secure_phones_take_the_second_step_only_with_their_lsc(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%", modes_after=dict.fromkeys(NAMES, "Encrypted"))
    phones = start(ready)["wave"]["phones"]
    enrol(ready, *phones[1:])
    judged = verdict(ready, 1, phones[1])
    assert judged["switched"] == phones[2:]
    modes = {row.device_name: row.device_security_mode for row in members(ready)}
    assert modes[phones[0]] == modes[phones[1]] == "Non Secure" and modes[phones[2]] == "Encrypted"
    assert [item["advice"] for item in judged["failing"]][1] == NOT_REGISTERED


def test_phones_that_are_gone_or_right_by_now_are_noted_and_left_out(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none")
    ready.run(
        lambda c: registered.ensure(Transaction(c, ready.context, "admin"), [{"device_name": NAMES[0]}], "absent")
    )
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
    run = run_of(ready)
    shown = ready.run(lambda c: waves.progress(Transaction(c, ready.context), run, 1))
    assert shown["counts"] == numbers(done=3, in_flight=9)
    assert (shown["phones_a_minute"], shown["seconds_left"], shown["ended"]) == (6.0, 70, False)
    assert shown["waiting_for_string"] == [NAMES[0]]
    ready.times[0] = NOW + 101
    assert ready.run(lambda c: waves.progress(Transaction(c, ready.context), run, 1))["ended"]


def test_every_status_of_a_failed_operation_says_what_to_do() -> None:
    for outcome in set(Outcome) - {Outcome.SUCCESS}:
        status = operation_status(Operation.INSTALL, outcome)
        assert status.startswith("Upgrade Failed")
        assert status_of(status) is outcome.value
        assert outcome.value.advice
    assert status_of("never heard of").advice == "inspect the phone"
