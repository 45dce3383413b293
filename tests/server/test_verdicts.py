# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on a wave is recorded once and shown everywhere; parts add up to the number of phones (P38)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from capf.api.rollout_reports import page
from capf.model import Operation
from capf.registry import progress
from capf.registry.rollout import monitor, rollout_report, show, waves
from capf.registry.transaction import Transaction
from support.record import NOW, Record
from support.rollouts import NAMES, NIGHT, begin, enrol, lose, numbers, run_of, start, succeed, verdict

FEW = NAMES[:6]


def one_unreached(record: Record) -> None:
    """One of six phones never opens a session; the others are done."""
    begin(record, *FEW, wave_size="6", spread_by="none", failure_limit="0")
    start(record)
    enrol(record, *FEW[1:])


def lsc_deleted(record: Record) -> None:
    """A phone gets its LSC in the wave, and another operation deletes it before the wave is judged."""
    begin(record, FEW[0], failure_limit="0")
    start(record)
    enrol(record, FEW[0])
    record.plan(FEW[0], operation=Operation.DELETE)
    succeed(record, FEW[0])


@pytest.mark.parametrize(("happens", "judged"), [(one_unreached, 6), (lsc_deleted, 1)])
def test_p38_the_report_shows_the_verdict_that_was_given(
    ready: Record, happens: Callable[[Record], None], judged: int
) -> None:
    happens(ready)
    given = verdict(ready, 1)
    assert (given["stopped"], given["judged"], given["allowed"], len(given["failing"])) == (True, judged, 0, 1)
    words = f"stopped the rollout: 1 of {judged} phone{'s' if judged > 1 else ''} not done, 0 allowed"
    state = ready.run(lambda c: show.state(c, NIGHT))
    (wave,) = state["waves"]
    assert wave["verdict"] == {"judged": judged, "failing": 1, "allowed": 0, "stopped": True}
    assert given["judgement"] == wave["judgement"] == words and state["problem"] == f"wave 1 {words}"
    assert words in page(ready.store.read(lambda c: rollout_report.figures(c, NIGHT)))
    ((name, number, shown),) = ready.run(lambda c: monitor.numbers(Transaction(c, ready.context))).verdicts
    assert (name, number, shown.words) == (NIGHT, 1, words)


def test_p38_a_phone_that_comes_after_the_verdict_is_done_and_the_verdict_stays(ready: Record) -> None:
    begin(ready, *FEW, wave_size="6", spread_by="none", failure_limit="50%")
    phones_of_wave = start(ready)["wave"]["phones"]
    enrol(ready, *phones_of_wave[:4])
    lose(ready, phones_of_wave[4])
    given = verdict(ready, 1)
    assert given["counts"] == numbers(done=4, failed=1, unreached=1)
    before = ready.run(lambda c: show.state(c, NIGHT))
    assert before["counts"] == given["counts"]
    enrol(ready, *phones_of_wave[4:])
    after = ready.run(lambda c: show.state(c, NIGHT))
    assert after["counts"] == numbers(done=6) and after["waves"] == before["waves"]


def test_p38_a_cancelled_operation_counts_as_failed_for_whoever_waits(ready: Record) -> None:
    begin(ready, *FEW[:2], wave_size="2", spread_by="none")
    start(ready)
    ready.plan(FEW[0], operation=Operation.NONE)
    waited = ready.run(lambda c: progress.progress(c, FEW[:2]))
    run = run_of(ready)
    shown = ready.run(lambda c: waves.progress(Transaction(c, ready.context), run, 1))
    both = numbers(failed=1, in_flight=1)
    assert waited["counts"] == both | {"lsc_installed": 0} and shown["counts"] == both
    assert [item["device_name"] for item in waited["failed"]] == shown["failed"] == FEW[:1]


def test_p38_a_monitor_sees_a_verdict_for_a_day_after_the_end(ready: Record) -> None:
    lsc_deleted(ready)
    verdict(ready, 1)
    begin(ready, *FEW[1:3], rollout="other")
    for seconds, names in ((0, {"night", "other"}), (86_399, {"night", "other"}), (86_400, {"other"})):
        ready.times[0] = NOW + seconds
        found = ready.run(lambda c: monitor.numbers(Transaction(c, ready.context)))
        assert {name for name, _part, _number in found.phones} == names
        assert {name for name, _wave, _given in found.verdicts} == names - {"other"}
