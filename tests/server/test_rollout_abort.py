# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An abort is final for the run that it ends, for waiting runs, and for phones that retry (P37)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Connection

from capf.model import ConflictError, Outcome, State
from capf.phone_session.effects import Refused
from capf.registry.rollout import abort as aborting
from capf.registry.rollout import begin as beginning
from capf.registry.rollout import judge, lease, plan, show, waves
from capf.registry.rollout.settings import read
from capf.registry.transaction import Transaction
from capf.store import rollout_rows, rows
from capf.store.engine import Store
from support.client import new_public_key
from support.record import NOW, Record
from support.rollouts import NAMES, NIGHT, RUN, abort, at, begin, enrol, fail, on_record, run_of, start, verdict

ABORTED = r"the rollout 'night' was aborted by admin at 2027-01-15T\d\d:00:00\S+$"
OTHER = "run-2"


def awaited(record: Record) -> int:
    """Return the id of the rollout for which another run has to wait."""
    with pytest.raises(ConflictError, match="another run of the rollout 'night' was active") as refused:
        begin(record, runner=OTHER)
    assert refused.value.code == "led_by_another"
    return int(refused.value.details["rollout_id"])


def refusal(record: Record, rollout_id: int) -> ConflictError:
    """Return why the run that has waited for this rollout is refused, after checking that nothing was changed."""
    before = on_record(record)
    with pytest.raises(ConflictError) as refused:
        begin(record, runner=OTHER, rollout_id=rollout_id)
    assert on_record(record) == before
    return refused.value


def aborted(record: Record) -> None:
    """An administrator aborts the rollout."""
    abort(record)


def stopped(record: Record) -> None:
    """Too many phones fail."""
    fail(record, start(record)["wave"]["phones"][0], Outcome.FAILED)
    assert verdict(record, 1)["stopped"]


@pytest.mark.parametrize(
    ("ends", "words"),
    [(aborted, ABORTED), (stopped, "the rollout 'night' was stopped at .*: wave 1 stopped the rollout: 6 of 6 phones")],
    ids=["aborted", "stopped"],
)
def test_p37_a_run_that_waited_ends_with_how_the_rollout_ended_and_begins_nothing(
    ready: Record, ends: Callable[[Record], None], words: str
) -> None:
    begin(ready, wave_size="6", failure_limit="0")
    seen = awaited(ready)
    ends(ready)
    reported = refusal(ready, seen)
    assert reported.code == f"rollout_{ends.__name__}"
    with pytest.raises(ConflictError, match=words):
        raise reported


def test_p37_a_run_whose_rollout_got_done_while_it_waited_begins_nothing(ready: Record) -> None:
    begin(ready, *NAMES[:2], wave_size="2", spread_by="none")
    seen = awaited(ready)
    enrol(ready, *start(ready)["wave"]["phones"])
    verdict(ready, 1)
    assert start(ready)["ended"]
    reported = ready.run(lambda c: lease.done_while_waiting(c, NIGHT, seen))
    assert reported.startswith("the rollout 'night' is done at 2027-")
    with pytest.raises(ConflictError, match="is done at"):
        begin(ready, runner=OTHER, rollout_id=seen)
    assert [item["state"] for item in ready.run(show.every)] == ["done"]


def test_p37_a_run_takes_up_only_the_rollout_that_it_saw(ready: Record) -> None:
    begin(ready)
    seen = awaited(ready)
    abort(ready)
    begin(ready, runner="run-3")
    ready.times[0] = NOW + lease.SECONDS
    assert refusal(ready, seen).code == "rollout_aborted"
    assert begin(ready, runner=OTHER).resumed


def test_p37_a_run_that_waits_takes_up_its_rollout_once_the_other_run_is_gone(ready: Record) -> None:
    begin(ready)
    seen = awaited(ready)
    ready.times[0] = NOW + lease.SECONDS
    assert begin(ready, runner=OTHER, rollout_id=seen).resumed
    with pytest.raises(ConflictError, match="another run") as refused:
        start(ready)
    assert refused.value.details == {"rollout_id": seen}


def test_p37_a_run_that_waited_past_the_window_begins_no_other_rollout(ready: Record) -> None:
    begin(ready, window_end=at(60), wave_seconds=50)
    seen = awaited(ready)
    ready.times[0] = NOW + lease.SECONDS
    reported = refusal(ready, seen)
    assert (reported.code, "the window was over before all waves were done" in str(reported)) == (
        "rollout_stopped",
        True,
    )


REQUESTS: dict[str, Callable[[Connection, Record, lease.Run], Any]] = {
    "start": lambda c, record, run: waves.start(Transaction(c, record.context, "admin"), run, {}),
    "judge": lambda c, record, run: judge.judge(Transaction(c, record.context, "admin"), run, 1, ()),
    "wait": lambda c, record, run: lease.running(Transaction(c, record.context), run),
    "progress": lambda c, record, run: waves.progress(Transaction(c, record.context), run, 1),
}


@pytest.mark.parametrize("request_of_the_run", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("begun_again", [False, True])
def test_p37_the_run_that_was_aborted_ends_with_who_aborted_it_and_when(
    ready: Record, request_of_the_run: Callable[[Connection, Record, lease.Run], Any], begun_again: bool
) -> None:
    """Even if a rollout with the same name runs meanwhile, led by a run with the same name."""
    begin(ready, wave_size="6")
    run = run_of(ready)
    start(ready)
    abort(ready)
    if begun_again:
        begin(ready, wave_size="6")
    with pytest.raises(ConflictError, match=ABORTED):
        ready.run(lambda c: request_of_the_run(c, ready, run))
    assert not ready.run(lambda c: lease.release(Transaction(c, ready.context), run))


def test_p37_who_aborted_and_when_is_on_record_with_its_audit_row(ready: Record) -> None:
    begin(ready)
    ready.times[0] = NOW + 7
    ready.run(lambda c: aborting.abort(Transaction(c, ready.context, "night shift"), NIGHT))
    (head,) = ready.run(show.every)
    assert (head["state"], head["ended_by"], head["problem"]) == ("aborted", "night shift", "aborted by night shift")
    assert head["ended_at"] == at(7).replace("+00:00", head["ended_at"][19:])
    assert ready.acts()[-1] == "rollout aborted"


def lost(record: Record, name: str, *, issued: bool) -> None:
    """Make a phone lose its session, before or after its certificate was sent."""
    granted = record.grant(name)
    if issued:
        assert record.issue(granted.hold, new_public_key())
    record.lose(granted.hold)


def test_p37_abort_cancels_operations_whatever_they_were_tried_with(ready: Record) -> None:
    begin(ready, wave_size="6")
    phones = start(ready)["wave"]["phones"]
    lost(ready, phones[0], issued=False)
    lost(ready, phones[1], issued=True)
    assert [ready.operation(name)["state"] for name in phones[:3]] == ["pending", "issued", "pending"]
    done = abort(ready)
    assert (done.cancelled, done.in_session) == (phones, [])
    assert {ready.operation(name)["state"] for name in phones} == {State.CANCELLED}
    assert all(isinstance(ready.claim(name), Refused) for name in phones)


def test_p37_a_phone_that_was_in_a_session_at_the_abort_gets_no_further_try(ready: Record) -> None:
    """With a null string, the session is unauthenticated: it counts as soon as it has a certificate."""
    begin(ready, wave_size="6")
    phones = start(ready)["wave"]["phones"]
    ends, loses, only_claimed = (ready.grant(name) for name in phones[:3])
    assert ready.issue(ends.hold, new_public_key()) and ready.issue(loses.hold, new_public_key())
    done = abort(ready)
    assert (done.cancelled, done.in_session) == (phones[2:], phones[:2])
    reported = ready.run(lambda c: aborting.words(c, done, dry_run=False))
    assert reported.endswith(f": 4 operations cancelled, 2 phones left to finish the session: {phones[0]}, {phones[1]}")
    assert ready.issue(only_claimed.hold, new_public_key()) is None
    ready.confirm(ends.hold)
    ready.lose(loses.hold)
    assert ready.operation(phones[0])["state"] == State.DONE
    assert isinstance(ready.claim(phones[1]), Refused)
    assert "active" not in ready.certificates(phones[1]).values() and not ready.certificates(phones[2])


def test_p37_what_abort_says_is_about_the_rollout_that_it_aborted(ready: Record) -> None:
    begin(ready, *NAMES[:2], wave_size="2", spread_by="none")
    start(ready)
    first = abort(ready)
    begin(ready, *NAMES[:2])
    again = ready.run(lambda c: aborting.abort(Transaction(c, ready.context, "admin"), NIGHT, first.rollout_id))
    assert not again.changed and not again.cancelled
    reported = [ready.run(partial(aborting.words, done=done, dry_run=False)) for done in (first, again)]
    assert reported[0].endswith(": 2 operations cancelled") and reported[1].endswith("; there is nothing to abort")
    assert ready.run(lambda c: show.find(c, NIGHT)).state == "running"


def test_p37_nobody_leads_or_ends_a_rollout_that_has_ended_meanwhile(ready: Record) -> None:
    begin(ready)
    seen = ready.run(lambda c: show.find(c, NIGHT))
    assert ready.run(lambda c: rollout_rows.lead(c, seen, runner=OTHER, seen_at=int(NOW) + 1))
    assert not ready.run(lambda c: rollout_rows.lead(c, seen, runner=RUN, seen_at=int(NOW) + 2))
    seen = ready.run(lambda c: show.find(c, NIGHT))
    abort(ready)
    assert not ready.run(lambda c: rollout_rows.lead(c, seen, runner=OTHER, seen_at=int(NOW) + 3))
    assert not ready.run(lambda c: lease.close(Transaction(c, ready.context, "admin"), seen, rollout_rows.DONE, ""))
    assert ready.run(lambda c: show.find(c, NIGHT)).ended_by == "admin"


@contextmanager
def both_servers(record: Record) -> Iterator[tuple[Store, Store]]:
    """Yield the stores of two servers of one database; an SQLite database has one server."""
    if not record.store.can_be_shared:
        yield record.store, record.store
        return
    with closing(Store(record.store._engine.url.render_as_string(hide_password=False))) as other:
        yield record.store, other


def race(*jobs: tuple[Store, Callable[[Connection], Any]]) -> list[Any]:
    """Run jobs concurrently; return their results, or the codes of their refusals."""
    together = Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(place: int, store: Store, job: Callable[[Connection], Any]) -> None:
        together.wait()
        try:
            results[place] = store.write(job)
        except ConflictError as error:
            results[place] = error.code

    threads = [Thread(target=run, args=(place, *job)) for place, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_p37_two_runs_and_an_abort_at_once_leave_one_leader_or_none(ready: Record) -> None:
    with both_servers(ready) as (first, second):
        for round_number in range(6):
            begin(ready, wave_size="6")
            row = ready.run(lambda c: show.find(c, NIGHT))
            ready.times[0] += lease.SECONDS

            def resume(runner: str, seen: int = row.id) -> Callable[[Connection], Any]:
                run = lease.Run(NIGHT, seen, runner)
                return lambda c: waves.start(Transaction(c, ready.context, "admin"), run, {})["wave"]["number"]

            def give_up(connection: Connection, seen: int = row.id) -> bool:
                return aborting.abort(Transaction(connection, ready.context, "admin"), NIGHT, seen).changed

            jobs = [(first, resume("a")), (second, resume("b")), ((first, second)[round_number % 2], give_up)]
            *runs, was_running = race(*jobs)
            assert was_running is True
            assert sum(run == 1 for run in runs) <= 1, runs
            assert set(runs) <= {1, "led_by_another", "rollout_aborted"}, runs
            found = ready.run(partial(rollout_rows.members, rollout_id=row.id))
            assert not [item for item in found if item.state in rows.OPEN]
            assert [item["state"] for item in ready.run(show.every)] == (round_number + 1) * ["aborted"]


def test_p37_of_two_runs_that_begin_at_once_one_is_reported_to_wait_for_the_other(ready: Record) -> None:
    def job(runner: str) -> Callable[[Connection], Any]:
        request = plan.RolloutRequest(NIGHT, runner, NAMES, read({}))
        return lambda c: beginning.begin(Transaction(c, ready.context, "admin"), request).resumed

    with both_servers(ready) as (first, second):
        assert sorted(map(str, race((first, job("a")), (second, job("b"))))) == ["False", "led_by_another"]
    assert len(ready.run(show.every)) == 1


def refused(record: Record, name: str) -> None:
    """Another client sends the phone's name with a string, although none is required."""
    assert isinstance(record.claim(name, password="0000"), Refused)


def test_p37_abort_cancels_an_operation_that_was_refused(ready: Record) -> None:
    begin(ready, wave_size="6")
    phones = start(ready)["wave"]["phones"]
    refused(ready, phones[0])
    assert abort(ready).cancelled == phones
    assert {ready.operation(name)["state"] for name in phones} == {State.CANCELLED}


def test_p33_what_was_refused_ends_with_its_rollout_and_what_was_not_waits(ready: Record) -> None:
    begin(ready, *NAMES[:4], wave_size="4", spread_by="none", failure_limit="0")
    phones = start(ready)["wave"]["phones"]
    refused(ready, phones[0])
    assert verdict(ready, 1)["stopped"]
    ended, waits = (ready.operation(name) for name in phones[:2])
    assert (ended["state"], ended["status"]) == ("failed", "Upgrade Failed: Invalid Authentication String")
    assert waits["state"] == "pending"
