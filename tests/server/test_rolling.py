# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rolling rollout on record: admission, outcomes, pause and end (P70, P71, P72, P74)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from capf.model import ConflictError, Outcome
from capf.registry import parts, phones
from capf.registry.parts import NOT_REGISTERED, Part
from capf.registry.rollout import lease, live, rolling, show
from capf.registry.rollout.rolling import Step
from capf.registry.transaction import SERVER, Transaction
from capf.store import rolling_rows
from capf.store.schema import RolloutRow
from support.client import new_public_key
from support.record import Record
from support.rollouts import NAMES, NIGHT, STRING, abort, at, begin, enrol, fail, lose, members, run_of

T = TypeVar("T")
CONTACT, ALLOWED = 300, 2100


def change(record: Record, rule: Callable[[Transaction], T]) -> T:
    """Run a rule of the server."""
    return record.run(lambda connection: rule(Transaction(connection, record.context, SERVER)))


def rolling_rollout(record: Record, *names: str, watched: bool = True, **settings: Any) -> RolloutRow:
    """Begin a rolling rollout, by default with a run that watches it."""
    given = {"strategy": "rolling", "in_flight": "3", "spread_by": "none", "retries": 0, **settings}
    begin(record, *names, **given)
    if watched:
        watch(record)
    return now(record)


def watch(record: Record) -> None:
    """Send the heartbeat of the run."""
    run = run_of(record)
    change(record, lambda tx: lease.watch(tx, run))


def now(record: Record) -> RolloutRow:
    """Return the rollout's row."""
    return record.run(lambda connection: show.find(connection, NIGHT))


def step(record: Record, *, registration: bool = False, reset: bool = True) -> Step:
    """Take one step as the server does, and reset the admitted phones."""
    rollout = now(record)
    made = change(record, lambda tx: rolling.step(tx, rollout, registration=registration))
    if reset and not made.decision.state:
        restart(record)
    return made


def restart(record: Record) -> list[str]:
    """Reset the phones that have to be reset; return them."""
    rollout = now(record)
    names = change(record, lambda tx: rolling.to_reset(tx, rollout))
    change(record, lambda tx: rolling.begin_reset(tx, rollout, names))
    change(record, lambda tx: rolling.end_reset(tx, rollout, names, {}))
    return names


def outcomes(made: Step) -> dict[str, str]:
    """Return the outcomes of a step by phone."""
    return {name: outcome.value for name, outcome in made.decision.ended}


def counts(record: Record) -> dict[str, int]:
    """Return the numbers of phones by part, without those that are 0."""
    shown = record.run(lambda connection: show.state(connection, NIGHT))["counts"]
    return {key: number for key, number in shown.items() if number and key != "phones"}


def test_p71_a_place_is_free_at_once_when_its_phone_is_done(ready: Record) -> None:
    rolling_rollout(ready)
    assert list(step(ready).decision.admit) == NAMES[:3]
    enrol(ready, NAMES[1])
    made = step(ready)
    assert outcomes(made) == {NAMES[1]: "done"}
    assert list(made.decision.admit) == [NAMES[3]]
    assert counts(ready) == {"waiting": 8, "in_flight": 3, "done": 1}


def test_p71_a_failed_phone_frees_its_place_at_once(ready: Record) -> None:
    rolling_rollout(ready, failure_limit="100%")
    step(ready)
    fail(ready, NAMES[0], Outcome.FAILED)
    made = step(ready)
    assert (outcomes(made), list(made.decision.admit)) == ({NAMES[0]: "failed"}, [NAMES[3]])


def test_p71_a_phone_that_is_not_seen_is_unreached_and_is_done_if_it_comes(ready: Record) -> None:
    rolling_rollout(ready, unreached_limit="100%", contact_seconds=CONTACT)
    step(ready)
    ready.wait(CONTACT - 1)
    watch(ready)
    assert outcomes(step(ready)) == {}
    ready.wait(1)
    watch(ready)
    assert outcomes(step(ready)) == dict.fromkeys(NAMES[:3], "unreached")
    assert counts(ready) == {"waiting": 6, "in_flight": 3, "unreached": 3}
    enrol(ready, NAMES[0])
    assert counts(ready) == {"waiting": 6, "in_flight": 3, "unreached": 2, "done": 1}


def test_p71_a_phone_that_was_seen_keeps_its_place_for_its_whole_time(ready: Record) -> None:
    rollout = rolling_rollout(ready, failure_limit="100%", unreached_limit="100%", contact_seconds=CONTACT)
    step(ready)
    change(ready, lambda tx: rolling_rows.mark_seen(tx.connection, rollout.id, {NAMES[0]: tx.now}))
    lose(ready, NAMES[1])
    ready.wait(CONTACT)
    watch(ready)
    assert outcomes(step(ready)) == {NAMES[2]: "unreached"}
    ready.wait(ALLOWED - CONTACT)
    watch(ready)
    assert outcomes(step(ready))[NAMES[0]] == "failed"


def test_p70_no_phone_is_admitted_before_the_run_watches_and_none_without_its_heartbeat(ready: Record) -> None:
    rolling_rollout(ready, watched=False)
    assert not step(ready).decision.admit
    watch(ready)
    assert step(ready).decision.admit
    enrol(ready, NAMES[0])
    ready.wait(lease.SECONDS)
    assert not step(ready).decision.admit
    watch(ready)
    assert step(ready).decision.admit


def test_p70_an_unattended_rollout_goes_on_once_a_run_has_watched_it(ready: Record) -> None:
    rolling_rollout(ready, watched=False, unattended=True)
    assert not step(ready).decision.admit
    watch(ready)
    ready.wait(lease.SECONDS)
    assert step(ready).decision.admit


def test_p70_a_reset_whose_end_is_not_on_record_is_repeated_only_if_the_phone_is_not_seen(ready: Record) -> None:
    rollout = rolling_rollout(ready, unreached_limit="100%", contact_seconds=CONTACT)
    step(ready, reset=False)
    change(ready, lambda tx: rolling.begin_reset(tx, rollout, NAMES[:3]))
    assert change(ready, lambda tx: rolling.take_over(tx, rollout)) == 3
    assert restart(ready) == []
    lose(ready, NAMES[0])
    ready.wait(CONTACT)
    watch(ready)
    assert outcomes(step(ready, reset=False)) == {}
    assert restart(ready) == NAMES[1:3]
    ready.wait(CONTACT)
    watch(ready)
    step(ready)
    assert counts(ready)["unreached"] == 2


def test_p72_too_many_failures_pause_and_a_person_resumes_with_failures_counted_from_zero(ready: Record) -> None:
    rolling_rollout(ready, failure_limit="1")
    step(ready)
    fail(ready, NAMES[0], Outcome.FAILED)
    assert not step(ready).decision.pause
    fail(ready, NAMES[1], Outcome.FAILED)
    made = step(ready)
    assert "2" in made.decision.pause and not made.decision.admit
    assert now(ready).pause == made.decision.pause
    enrol(ready, NAMES[2])
    assert not step(ready).decision.admit
    ready.wait(1)
    watch(ready)
    rollout = now(ready)
    assert change(ready, lambda tx: rolling.resume(tx, rollout))
    made = step(ready)
    assert made.decision.admit and not made.decision.pause
    enrol(ready, *made.decision.admit)
    assert not step(ready).decision.pause


def test_p72_the_pilot_goes_first_and_is_judged_when_all_of_it_has_ended(ready: Record) -> None:
    rolling_rollout(ready, pilot_size="2", pilot_failure_limit="0")
    pilot = list(step(ready).decision.admit)
    assert len(pilot) == 2
    enrol(ready, pilot[0])
    assert not step(ready).decision.admit
    fail(ready, pilot[1], Outcome.FAILED)
    made = step(ready)
    assert "pilot" in made.decision.pause and not made.decision.admit
    wave = record_waves(ready)[0]
    assert (wave["kind"], wave["done"], wave["failed"]) == ("pilot", 1, 1)


def test_p72_a_pilot_that_passes_lets_the_others_begin(ready: Record) -> None:
    rolling_rollout(ready, pilot_size="2")
    enrol(ready, *step(ready).decision.admit)
    made = step(ready)
    assert made.decision.judge_pilot and len(made.decision.admit) == 3
    assert record_waves(ready)[0]["judgement"] == "passed: 0 of 2 phones not done, 0 allowed"


def record_waves(record: Record) -> list[dict[str, Any]]:
    """Return the waves as the API shows them."""
    return list(record.run(lambda connection: show.state(connection, NIGHT))["waves"])


def test_p72_a_rollout_that_a_person_paused_admits_nobody(ready: Record) -> None:
    rollout = rolling_rollout(ready)
    assert change(ready, lambda tx: rolling.pause(tx, rollout, "lunch"))
    assert not step(ready).decision.admit
    paused = now(ready)
    shown = change(ready, lambda tx: live.now(tx, paused))
    assert (shown["paused"], shown["problem"]) == (True, "lunch") and "paused: lunch" in shown["line"]


def test_p73_no_phone_is_admitted_that_cannot_end_in_the_window(ready: Record) -> None:
    rolling_rollout(ready, window_end=at(ALLOWED + 10))
    assert step(ready).decision.admit
    ready.wait(11)
    watch(ready)
    enrol(ready, NAMES[0])
    assert not step(ready).decision.admit
    enrol(ready, *NAMES[1:3])
    assert step(ready).decision.state == "stopped"
    assert "window" in now(ready).problem


def test_p73_the_end_is_expected_from_what_is_left(ready: Record) -> None:
    rolling_rollout(ready)
    step(ready)
    rollout = now(ready)
    first = change(ready, lambda tx: live.now(tx, rollout))
    assert first["expected_end"] and "expected to end at" in first["line"]
    for _round in range(3):
        enrol(ready, *step(ready).decision.admit or NAMES[:3])
    later = change(ready, lambda tx: live.now(tx, now_of(tx)))
    assert later["expected_end"] < first["expected_end"] and later["phones_a_minute"] > 0


def now_of(tx: Transaction) -> RolloutRow:
    """Return the rollout's row within a transaction."""
    return show.find(tx.connection, NIGHT)


def test_p74_a_phone_is_done_when_it_is_registered_again_and_holds_its_place_until_then(ready: Record) -> None:
    rollout = rolling_rollout(ready, failure_limit="100%", registration_seconds=60)
    step(ready, registration=True)
    enrol(ready, *NAMES[:2])
    assert outcomes(step(ready, registration=True)) == {}
    change(ready, lambda tx: rolling.register(tx, rollout, [NAMES[0]]))
    assert outcomes(step(ready, registration=True)) == {NAMES[0]: "done"}
    ready.wait(60)
    watch(ready)
    assert outcomes(step(ready, registration=True)) == {NAMES[1]: "failed"}
    assert next(row.note for row in members(ready) if row.device_name == NAMES[1]) == NOT_REGISTERED


def test_r9_a_phone_becomes_secure_once_it_has_its_lsc_and_is_reset_for_that(ready: Record) -> None:
    rolling_rollout(ready, modes_after={NAMES[0]: "Encrypted"})
    step(ready)
    enrol(ready, NAMES[0])
    assert step(ready, reset=False).switched == [NAMES[0]]
    assert NAMES[0] in restart(ready)
    assert NAMES[0] not in restart(ready)


def test_r9_a_rollout_ends_only_when_its_last_phone_was_reset_for_its_new_mode(ready: Record) -> None:
    rolling_rollout(ready, NAMES[0], modes_after={NAMES[0]: "Encrypted"})
    step(ready)
    enrol(ready, NAMES[0])
    assert step(ready, reset=False).switched == [NAMES[0]]
    step(ready, reset=False)
    assert now(ready).state == "running"
    assert restart(ready) == [NAMES[0]]
    step(ready)
    assert now(ready).state == "done"


def test_p71_phones_by_string_hold_no_place_and_get_the_string_of_the_list(ready: Record) -> None:
    for name in NAMES[:4]:
        by_string(ready, name)
    rolling_rollout(ready, waiting_strings=2, strings={NAMES[0]: "4711471147"})
    admitted = list(step(ready).decision.admit)
    assert len(admitted) == 5 and sum(name in NAMES[:4] for name in admitted) == 2
    assert ready.install(NAMES[0], key=new_public_key(), password="4711471147")


def by_string(record: Record, name: str) -> None:
    """Let a phone authenticate by string."""
    wanted = {"device_name": name, "authentication_mode": STRING}
    change(record, lambda tx: phones.ensure(tx, [wanted], "present"))


def test_p71_a_site_may_have_its_next_phone_in_the_step_in_which_one_ends(ready: Record) -> None:
    rolling_rollout(ready, *NAMES[:6:3], spread_by="device_pool", site_share=1, window_end=at(4 * ALLOWED))
    first = list(step(ready).decision.admit)
    assert len(first) == 1
    enrol(ready, *first)
    made = step(ready)
    assert (len(made.decision.admit), made.decision.state) == (1, "")


def test_p71_a_rollout_is_done_when_nobody_waits_and_nobody_is_in_flight(ready: Record) -> None:
    rolling_rollout(ready)
    for _round in range(5):
        enrol(ready, *step(ready).decision.admit)
    assert now(ready).state == "done"
    assert counts(ready) == {"done": 12}


def test_p71_a_phone_that_may_succeed_on_a_retry_is_admitted_once_more_at_the_end(ready: Record) -> None:
    rolling_rollout(ready, *NAMES[:3], retries=1, failure_limit="100%", unreached_limit="100%")
    step(ready)
    enrol(ready, *NAMES[:2])
    ready.wait(ALLOWED)
    watch(ready)
    assert step(ready).decision.ended
    made = step(ready)
    assert list(made.decision.admit) == [NAMES[2]]
    enrol(ready, NAMES[2])
    assert step(ready).decision.state == "done"
    assert Counter(show_parts(ready)) == {Part.DONE: 3}


def show_parts(record: Record) -> list[Part]:
    """Return the parts of all phones."""
    return [parts.of(row) for row in members(record)]


def test_p37_after_an_abort_nothing_is_admitted_and_nothing_is_reset(ready: Record) -> None:
    rollout = rolling_rollout(ready)
    step(ready, reset=False)
    abort(ready)
    assert ready.run(rolling_rows.running) == []
    assert counts(ready) == {"failed": 3, "skipped": 9}
    with pytest.raises(ConflictError, match="was aborted"):
        watch(ready)
    assert rollout.id == now(ready).id
