# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy of a rolling rollout: places, judgement and window, as pure functions (P71, P72, P73)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.policy import decision, estimate, judging, places
from capf.registry.rollout.policy.observed import (
    Candidate,
    Decision,
    Ended,
    InFlight,
    PhoneOutcome,
    Pilot,
    RolloutLimits,
    View,
)
from support.night import OLD, Night, longest_seconds, make_fleet, make_limits, waves_seconds, work_seconds

DONE, FAILED, UNREACHED = PhoneOutcome
NOW, MINUTES = 100_000, 60
CONTACT, REFUSED, ALLOWED, WITH_STRING, REGISTRATION = 300, 120, 2100, 3600, 240
ANY = Amount(100, share=True)
LIMITS = RolloutLimits(
    in_flight=10, contact_seconds=CONTACT, refused_seconds=REFUSED, phone_seconds=ALLOWED, string_seconds=WITH_STRING,
    registration_seconds=REGISTRATION, waiting_strings=5, site_share=ANY, resets_per_minute=0, judged_last=10,
    failure_limit=Amount(10, share=True), unreached_limit=Amount(20, share=True),
    pilot_failure_limit=Amount(0, share=False),
)  # fmt: skip


class Waiting:
    """Waiting phones that count how many of them were read."""

    def __init__(self, phones: Iterable[Candidate]) -> None:
        self.read = 0
        self._phones = iter(phones)

    def __iter__(self) -> Iterator[Candidate]:
        return self

    def __next__(self) -> Candidate:
        phone = next(self._phones)
        self.read += 1
        return phone


def waiting(
    number: int, name: str = "W", seconds: int = 200, *, site: str = "", by_string: bool = False
) -> list[Candidate]:
    """Return this number of waiting phones, whose names begin with ``name``."""
    return [Candidate(f"{name}{index}", site, seconds, by_string) for index in range(number)]


def flying(number: int, **facts: Any) -> list[InFlight]:
    """Return this number of phones that were restarted now, with these facts."""
    known = InFlight("", "", NOW, restarted_at=NOW)
    return [replace(known, **{"name": f"F{index}", **facts}) for index in range(number)]


def a_view(waits: int, in_flight: Sequence[InFlight] = (), **facts: Any) -> View:
    """Return a rollout of 100 phones of which this number waits."""
    return replace(View(NOW, 100, waits, in_flight), **facts)


def decide(
    view: View, phones: Iterable[Candidate] = (), limits: RolloutLimits = LIMITS, pilot: Iterable[Candidate] = ()
) -> Decision:
    return decision.decide(view, limits, pilot, phones)


def ended(*outcomes: PhoneOutcome) -> Ended:
    return Ended(outcomes, Counter(outcomes))


# Places: when one becomes free


def at(seconds: int, **facts: Any) -> PhoneOutcome | None:
    """Return the outcome of a phone this number of seconds after its restart."""
    return places.outcome(flying(1, restarted_at=NOW - seconds, **facts)[0], LIMITS, NOW)


@pytest.mark.parametrize(
    ("facts", "allowed", "result"),
    [
        ({}, CONTACT, UNREACHED),
        ({"seen_at": NOW - 1}, ALLOWED, FAILED),
        ({"refused_at": NOW - 1}, ALLOWED, FAILED),
        ({"by_string": True}, WITH_STRING, UNREACHED),
        ({"by_string": True, "seen_at": NOW - 1}, WITH_STRING, FAILED),
        ({"by_string": True, "seen_at": NOW - 1, "refused_at": NOW - REFUSED}, WITH_STRING, FAILED),
    ],
    ids=["absent", "seen", "refused", "string", "string_seen", "string_refused"],
)
def test_p71_a_phone_without_lsc_keeps_its_place_until_its_time_is_used(
    facts: dict[str, Any], allowed: int, result: PhoneOutcome
) -> None:
    assert at(allowed - 1, **facts) is None
    assert at(allowed, **facts) is result


def test_p71_a_phone_that_is_refused_has_failed_unless_it_gets_its_lsc_soon() -> None:
    assert at(CONTACT, refused_at=NOW - REFUSED + 1) is None
    assert at(CONTACT, refused_at=NOW - REFUSED) is FAILED
    assert at(CONTACT, refused_at=NOW - REFUSED, installed_at=NOW) is DONE


def test_p71_a_phone_has_its_outcome_as_soon_as_its_operation_has_ended() -> None:
    assert (at(0, failed=True), at(0, installed_at=NOW)) == (FAILED, DONE)
    assert (at(0, installed_at=NOW, registered=True), at(0, installed_at=NOW, registered=False)) == (DONE, None)
    assert at(9999, installed_at=NOW - REGISTRATION + 1, registered=False) is None
    assert at(9999, installed_at=NOW - REGISTRATION, registered=False) is FAILED


def test_p71_a_phone_keeps_its_place_in_an_open_session_and_before_its_reset() -> None:
    for facts in ({}, {"seen_at": NOW}, {"refused_at": NOW - REFUSED}, {"by_string": True}):
        assert at(WITH_STRING, in_session=True, **facts) is None
    for facts in ({}, {"seen_at": NOW}, {"installed_at": NOW}, {"failed": True}):
        (phone,) = flying(1, restarted_at=None, admitted_at=0, **facts)
        assert places.outcome(phone, LIMITS, NOW) is None


# Places: who may take the free ones


def test_p71_a_place_is_taken_in_the_decision_in_which_it_becomes_free() -> None:
    in_flight = [*flying(9), *flying(1, name="ends", installed_at=NOW)]
    made = decide(a_view(50, in_flight), waiting(50))
    assert (made.ended, made.admit) == ([("ends", DONE)], ["W0"])


def test_p71_phones_by_string_hold_no_place_and_are_limited_separately() -> None:
    phones = [*waiting(20, "A", by_string=True), *waiting(20)]
    admitted = Counter(name[0] for name in decide(a_view(40), phones).admit)
    assert admitted == {"A": 5, "W": 10}
    assert decide(a_view(40, flying(5, by_string=True)), phones).admit == [f"W{index}" for index in range(10)]


def test_p71_a_site_has_no_more_than_its_share_in_flight_but_at_least_one_phone() -> None:
    limits = replace(LIMITS, site_share=Amount(50, share=True))
    phones = [phone for site in "ABC" for phone in waiting(5, site, site=site)]
    view = a_view(15, flying(1, site="A"), site_sizes={"A": 5, "B": 1, "C": 4})
    assert decide(view, phones, limits).admit == ["A0", "A1", "B0", "C0", "C1"]


def test_p71_a_minute_has_no_more_resets_than_allowed() -> None:
    limits = replace(LIMITS, resets_per_minute=5)
    view = a_view(50, flying(1, restarted_at=None), resets=2)
    assert len(decide(view, waiting(50), limits).admit) == 2
    phones = Waiting(waiting(50))
    made = decide(replace(view, resets=4), phones, limits)
    assert (made.admit, made.waits, phones.read) == ((), decision.NO_RESETS, 0)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"paused": True}, decision.PAUSED),
        ({"attended": False}, decision.NOT_WATCHED),
        ({"starts_at": NOW + 1}, decision.NOT_OPEN),
    ],
    ids=["paused", "unattended", "early"],
)
def test_p71_p73_no_phone_is_admitted_or_read_while_the_rollout_may_not_admit(facts: dict[str, Any], why: str) -> None:
    phones = Waiting(waiting(50))
    made = decide(a_view(50, flying(1, installed_at=NOW), **facts), phones)
    assert (made.ended, made.admit, made.waits, phones.read) == ([("F0", DONE)], (), why, 0)


def test_p71_no_more_waiting_phones_are_read_than_the_places_need() -> None:
    only_places = replace(LIMITS, waiting_strings=0)
    phones = Waiting(waiting(50))
    assert len(decide(a_view(50, flying(7)), phones, only_places).admit) == phones.read == 3
    phones = Waiting(waiting(50))
    decide(a_view(50, flying(10)), phones, only_places)
    assert phones.read == 0
    for in_flight in (flying(3), []):
        phones = Waiting(waiting(5000))
        admitted = decide(a_view(5000, in_flight), phones).admit
        assert phones.read == len(admitted) + places.LOOK_AHEAD


def test_p71_with_nothing_in_flight_all_waiting_phones_are_searched_for_one_that_fits() -> None:
    phones = [*waiting(places.LOOK_AHEAD + 1, "A", seconds=MINUTES + 1), *waiting(1, "B", seconds=MINUTES)]
    view = a_view(len(phones), ends_at=NOW + MINUTES)
    assert decide(view, phones).admit == ["B0"]
    assert decide(replace(view, in_flight=flying(1)), phones).admit == []


def test_p71_a_rollout_says_that_nothing_fits_only_if_places_are_free() -> None:
    assert decide(a_view(50, flying(10)), waiting(50)).waits == ""
    view = a_view(5, flying(1, site="A"), site_sizes={"A": 1})
    assert decide(view, waiting(5, site="A")).waits == decision.NOTHING_FITS


def test_p71_a_rollout_is_done_when_no_phone_waits_and_none_is_in_flight() -> None:
    made = decide(a_view(0, flying(2, installed_at=NOW)))
    assert (made.state, made.why, len(made.ended)) == ("done", "", 2)
    assert decide(a_view(0, flying(1))).state == ""


# Judgement


def test_p72_too_many_failures_among_the_last_phones_pause_the_rollout_and_admit_nobody() -> None:
    view = a_view(50, flying(1, failed=True), ended=ended(*[DONE] * 8, FAILED))
    made = decide(view, waiting(50))
    assert (made.pause, made.admit) == ("2 of the last 10 ended phones failed, 1 allowed", ())
    assert decide(replace(view, ended=ended(*[DONE] * 9)), waiting(50)).pause == ""


def test_p72_the_last_phones_are_at_least_as_many_as_are_in_flight_at_once() -> None:
    limits = replace(LIMITS, in_flight=40)
    assert (judging.sample(LIMITS), judging.sample(limits)) == (10, 40)
    view = a_view(50, ended=ended(*[FAILED] * 4, *[DONE] * 36))
    assert judging.judge(view, limits) == ""
    view = a_view(50, ended=ended(*[FAILED] * 5, *[DONE] * 35))
    assert judging.judge(view, limits) == "5 of the last 40 ended phones failed, 4 allowed"


def test_p72_failures_that_are_spread_over_the_night_are_judged_among_all_phones() -> None:
    view = a_view(50, ended=Ended([DONE] * 10, Counter({DONE: 40, FAILED: 10})))
    assert judging.judge(view, LIMITS) == ""
    view = a_view(50, ended=Ended([DONE] * 10, Counter({DONE: 40, FAILED: 11})))
    assert judging.judge(view, LIMITS) == "11 of all 100 phones failed, 10 allowed"


def test_p72_unreached_phones_have_a_separate_limit() -> None:
    assert judging.judge(a_view(50, ended=ended(FAILED, UNREACHED, UNREACHED)), LIMITS) == ""
    problem = judging.judge(a_view(50, ended=ended(*[UNREACHED] * 3)), LIMITS)
    assert problem == "3 of the last 3 ended phones unreached, 2 allowed"


def test_p72_a_limit_that_is_a_number_holds_as_it_is() -> None:
    limits = replace(LIMITS, failure_limit=Amount(3, share=False))
    assert judging.judge(a_view(50, ended=ended(*[FAILED] * 3)), limits) == ""
    assert judging.judge(a_view(50, ended=ended(*[FAILED] * 4)), limits) != ""


def test_p72_the_reason_of_a_pause_names_the_addresses_of_refused_phones() -> None:
    view = a_view(50, ended=ended(FAILED, FAILED), addresses=["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"])
    assert judging.judge(view, LIMITS).endswith("; refused from 192.0.2.1, 192.0.2.2, 192.0.2.3 and 1 more")
    absent = replace(view, ended=ended(*[UNREACHED] * 3))
    assert "refused" not in judging.judge(absent, LIMITS)


def test_p72_a_paused_rollout_is_not_paused_again_and_its_phones_in_flight_end() -> None:
    view = a_view(50, flying(1, installed_at=NOW), ended=ended(*[FAILED] * 9), paused=True)
    made = decide(view, waiting(50))
    assert (made.pause, made.ended, made.admit, made.state) == ("", [("F0", DONE)], (), "")


def test_p72_too_many_failures_of_the_last_phones_of_a_rollout_stop_it() -> None:
    made = decide(a_view(0, flying(2, failed=True)))
    assert (made.state, made.pause) == ("stopped", "") and made.why.startswith("2 of the last 2")


def a_pilot(waits: int = 0, flies: int = 0, *outcomes: PhoneOutcome) -> Pilot:
    return Pilot(waits + flies + len(outcomes), waits, flies, Counter(outcomes), judged=False)


def test_p72_no_other_phone_is_read_before_all_of_the_pilot_has_ended() -> None:
    phones = Waiting(waiting(50))
    made = decide(a_view(50, pilot=a_pilot(waits=4)), phones, pilot=waiting(4, "first "))
    assert (made.admit, phones.read) == (["first 0", "first 1", "first 2", "first 3"], 0)
    in_flight = [*flying(1, pilot=True), *flying(1, name="ends", pilot=True, failed=True)]
    made = decide(a_view(50, in_flight, pilot=a_pilot(0, 2, DONE)), phones)
    assert (made.judge_pilot, made.pause, made.admit, phones.read) == (False, "", [], 0)
    assert made.waits == decision.AWAITS_PILOT


def test_p72_a_pilot_that_passes_lets_others_begin_in_the_same_decision() -> None:
    in_flight = flying(1, pilot=True, installed_at=NOW)
    made = decide(a_view(50, in_flight, pilot=a_pilot(0, 1, DONE)), waiting(50))
    assert (made.judge_pilot, made.pause, len(made.admit)) == (True, "", 10)


@pytest.mark.parametrize("outcome", [FAILED, UNREACHED])
def test_p72_the_limit_of_the_pilot_is_for_failed_and_unreached_phones_together(outcome: PhoneOutcome) -> None:
    last = flying(1, pilot=True, failed=outcome is FAILED, restarted_at=NOW - CONTACT)
    view, phones = a_view(50, last, pilot=a_pilot(0, 1, *[DONE] * 9)), waiting(50)
    made = decide(view, phones)
    numbers = "1 failed, 0 unreached" if outcome is FAILED else "0 failed, 1 unreached"
    assert made.pause == f"the pilot of 10 phones did not pass: {numbers}; 0 allowed"
    assert (made.judge_pilot, made.admit) == (False, ())
    assert decide(view, phones, replace(LIMITS, pilot_failure_limit=Amount(10, share=True))).judge_pilot


def test_p72_beside_the_pilot_a_tenth_of_the_places_is_used_and_more_as_its_phones_are_done() -> None:
    limits = replace(LIMITS, in_flight=100, waiting_strings=0, overlap=True)
    for done, others in ((0, 10), (5, 55), (9, 91)):
        pilot = a_pilot(0, 10 - done, *[DONE] * done)
        in_flight = flying(10 - done, pilot=True)
        assert len(decide(a_view(500, in_flight, pilot=pilot), waiting(500), limits).admit) == others
        in_flight += flying(others)
        made = decide(a_view(500, in_flight, pilot=pilot), waiting(500), limits)
        assert (made.admit, made.waits) == ([], decision.AWAITS_PILOT)


def test_p72_others_beside_the_pilot_are_judged_before_it() -> None:
    view = a_view(50, flying(1, pilot=True), pilot=a_pilot(0, 1), ended=ended(FAILED, FAILED))
    assert "2 of the last 2" in decide(view, waiting(50), replace(LIMITS, overlap=True)).pause
    assert decide(view, waiting(50)).pause == ""


# The window


def test_p73_only_phones_that_may_end_within_the_window_are_admitted() -> None:
    phones = [*waiting(2, "A", seconds=301), *waiting(2, "B", seconds=300)]
    view = a_view(4, flying(1), ends_at=NOW + 300)
    assert decide(view, phones).admit == ["B0", "B1"]
    made = decide(view, phones[:2])
    assert (made.admit, made.state, made.waits) == ([], "", decision.NOTHING_FITS)


def test_p73_the_rollout_stops_when_nothing_fits_any_more_and_nothing_is_in_flight() -> None:
    view = a_view(2, flying(1, installed_at=NOW), ends_at=NOW + 300)
    made = decide(view, waiting(2, seconds=301))
    assert (made.state, made.why, made.admit) == ("stopped", decision.WINDOW_OVER, ())
    closed = a_view(2, ends_at=NOW, paused=True)
    assert decide(closed, waiting(2)).state == "stopped"
    assert decide(replace(closed, ends_at=NOW + 1)).state == ""


def test_p73_the_expected_end_follows_from_what_is_measured() -> None:
    limits = replace(LIMITS, resets_per_minute=0)
    fresh = estimate.TypeTimes(expected=300, longest=400, waiting=100)
    assert estimate.end(NOW, [], limits, 0) == NOW
    before = estimate.end(NOW, [fresh], limits, 0)
    assert NOW + 100 * 300 / 10 <= before <= NOW + 100 * 300 / 10 + 400
    slow = replace(fresh, ended=100, seconds=100 * 600)
    assert estimate.end(NOW, [slow], limits, 0) > before
    assert estimate.end(NOW, [fresh], replace(limits, resets_per_minute=1), 0) >= NOW + 100 * MINUTES


# Any view


SITES = st.sampled_from(["", "A", "B", "C"])
TIMES = st.one_of(st.none(), st.integers(NOW - ALLOWED, NOW))
AMOUNTS = st.builds(Amount, st.integers(1, 100), share=st.booleans())
PHONES_IN_FLIGHT = st.builds(
    InFlight, name=st.just(""), site=SITES, admitted_at=st.just(NOW - ALLOWED), by_string=st.booleans(),
    restarted_at=TIMES, seen_at=TIMES, refused_at=TIMES, installed_at=TIMES,
    registered=st.sampled_from([None, True, False]), failed=st.booleans(), in_session=st.booleans(),
)  # fmt: skip
CANDIDATES = st.lists(
    st.builds(Candidate, st.just(""), SITES, st.integers(1, 500), st.booleans()), max_size=25
)  # fmt: skip
ALL_LIMITS = st.builds(
    replace, st.just(LIMITS), in_flight=st.integers(1, 12), waiting_strings=st.integers(1, 5), site_share=AMOUNTS,
    resets_per_minute=st.integers(0, 12), judged_last=st.integers(1, 12), failure_limit=AMOUNTS,
    unreached_limit=AMOUNTS, pilot_failure_limit=AMOUNTS, overlap=st.booleans(),
)  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> tuple[View, RolloutLimits, list[Candidate], list[Candidate]]:
    """Draw a rollout at any time, with the waiting phones of the pilot and the others."""
    limits, has_pilot = draw(ALL_LIMITS), draw(st.booleans())
    found = draw(st.lists(PHONES_IN_FLIGHT, max_size=20))
    places_used = strings_used = 0
    in_flight = list[InFlight]()
    for number, phone in enumerate(found):
        places_used, strings_used = places_used + (not phone.by_string), strings_used + phone.by_string
        if places_used <= limits.in_flight and strings_used <= limits.waiting_strings:
            in_flight.append(replace(phone, name=f"F{number}", pilot=has_pilot and draw(st.booleans())))
    others = [replace(one, name=f"W{number}") for number, one in enumerate(draw(CANDIDATES))]
    first = [replace(one, name=f"P{number}") for number, one in enumerate(draw(CANDIDATES))] if has_pilot else []
    of_pilot = sum(phone.pilot for phone in in_flight)
    outcomes = draw(st.lists(st.sampled_from(PhoneOutcome), max_size=12))
    view = View(
        now=NOW, phones=100, waiting=len(others), in_flight=in_flight, ended=ended(*outcomes),
        pilot=a_pilot(len(first), of_pilot, *outcomes[:3]) if has_pilot else Pilot(),
        starts_at=draw(st.sampled_from([None, NOW - 1, NOW, NOW + 1])),
        ends_at=draw(st.one_of(st.none(), st.integers(NOW - 10, NOW + 600))),
        attended=draw(st.sampled_from([True, True, False])), paused=draw(st.sampled_from([True, False, False])),
        resets=draw(st.integers(0, 12)), site_sizes={"A": 1, "B": 4, "C": 30},
    )  # fmt: skip
    return view, limits, first, others


@settings(max_examples=300)
@given(situations())
def test_p71_p72_p73_no_decision_exceeds_a_limit(
    situation: tuple[View, RolloutLimits, list[Candidate], list[Candidate]],
) -> None:
    view, limits, first, others = situation
    offered, beside = Waiting(first), Waiting(others)
    made = decide(view, beside, limits, offered)
    gone = {name for name, _outcome in made.ended}
    assert gone == {one.name for one in view.in_flight if places.outcome(one, limits, NOW) is not None}
    held = [one for one in view.in_flight if one.name not in gone]
    known = {one.name: one for one in (*first, *others)}
    admitted = [known[name] for name in made.admit]
    assert len(set(made.admit)) == len(admitted)
    check_places(view, limits, held, admitted)
    check_window(view, made, admitted)
    if made.pause:
        assert not made.state and not view.paused
    if made.pause or made.state or view.paused or not view.attended:
        assert not admitted
    judged = view.pilot.judged or made.judge_pilot
    if made.judge_pilot:
        assert not view.pilot.judged and not first and not any(one.pilot for one in held)
    if not judged and not limits.overlap:
        assert beside.read == 0 and not any(name.startswith("W") for name in made.admit)
    if made.state:
        assert not held


def check_places(view: View, limits: RolloutLimits, held: Sequence[InFlight], admitted: Sequence[Candidate]) -> None:
    """Check that places, strings, shares of sites and resets are not exceeded by those that were admitted."""
    both: list[InFlight | Candidate] = [*held, *admitted]
    strings = sum(one.by_string for one in both)
    assert strings <= limits.waiting_strings
    assert len(both) - strings <= limits.in_flight
    taken = Counter(one.site for one in both)
    for one in admitted:
        assert not one.site or taken[one.site] <= max(1, limits.site_share.size(view.site_sizes[one.site]))
    if limits.resets_per_minute and admitted:
        owed = sum(one.restarted_at is None for one in held)
        assert view.resets + owed + len(admitted) <= limits.resets_per_minute


def check_window(view: View, made: Decision, admitted: Sequence[Candidate]) -> None:
    """Check that no phone is admitted before the window, or if it may not end within it."""
    if admitted:
        assert view.starts_at is None or view.starts_at <= NOW
        assert all(view.ends_at is None or NOW + one.seconds <= view.ends_at for one in admitted)
    if view.ends_at is not None and made.why == decision.WINDOW_OVER:
        assert view.waiting or view.pilot.waiting


@settings(max_examples=200)
@given(situations())
def test_p71_no_place_stays_free_for_which_a_phone_waits(
    situation: tuple[View, RolloutLimits, list[Candidate], list[Candidate]],
) -> None:
    view, limits, _first, others = situation
    view = replace(view, pilot=Pilot(), paused=False, attended=True, starts_at=None)
    made = decide(view, others, limits)
    if made.pause or made.state:
        return
    gone, admitted = {name for name, _outcome in made.ended}, {*made.admit}
    free = places.room(view, limits)
    assert free == places.room_beside([one for one in view.in_flight if one.name not in gone], view, limits)
    for one in others:
        if one.name in admitted:
            free.take(one)
    assert not any(free.fits(one) for one in others if one.name not in admitted)


# A night


def test_p71_a_night_takes_little_more_than_its_work_and_is_four_times_as_fast_as_waves() -> None:
    fleet, limits = make_fleet(1000, OLD), make_limits(50)
    night = Night(fleet, limits)
    seconds = night.run()
    assert night.problem == "" and sum(night.totals.values()) == 1000
    assert seconds <= 1.1 * max(work_seconds(fleet, limits), longest_seconds(fleet, limits))
    assert waves_seconds(fleet, 50) >= 4 * seconds
