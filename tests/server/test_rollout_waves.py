# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before a wave starts: CAPF is ready, the window is open, and the run does what its dry run reports (R16, R22)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from capf.model import ConflictError, Outcome
from capf.registry import ctl_file, parameters, service, tokens
from capf.registry.parts import NOT_REGISTERED
from capf.registry.rollout import lease, show
from capf.registry.transaction import Transaction
from capf.store import rollout_rows
from support.record import NOW, Record
from support.rollouts import (
    NAMES,
    NIGHT,
    RUN,
    STRING,
    at,
    begin,
    dry_run,
    enrol,
    fail,
    start,
    verdict,
)


def test_r22_no_wave_is_started_while_capf_does_not_run(ready: Record) -> None:
    begin(ready, wave_size="6")
    first = start(ready)["wave"]["phones"]
    ready.context.running = None
    with pytest.raises(ConflictError, match=r"CAPF is activated but not running: .* To do: ucm.capf.capf_service"):
        start(ready)
    ready.context.running = ready.run(parameters.stored)
    enrol(ready, *first)
    verdict(ready, 1)
    ready.run(lambda c: service.activate(Transaction(c, ready.context, "admin"), False))
    with pytest.raises(ConflictError, match=r"no wave is started: CAPF service: CAPF is not activated. To do"):
        start(ready)
    assert ready.run(lambda c: show.state(c, NIGHT))["counts"]["waiting"] == 6
    ready.run(lambda c: service.activate(Transaction(c, ready.context, "admin"), True))
    assert start(ready)["wave"]["number"] == 2


def make_ctl_file(record: Record) -> None:
    """Update the CTL file if it is outdated."""
    record.run(lambda c: tokens.make_missing(Transaction(c, record.context)))
    record.run(lambda c: ctl_file.make_current(Transaction(c, record.context, "admin"), ctl_file.Options(), []))


def test_r24_no_wave_is_started_while_the_ctl_file_is_outdated(ready: Record) -> None:
    """Without a CTL file of this server, phones have one of another CTL client, as in the checklist."""
    begin(ready, wave_size="6")
    make_ctl_file(ready)
    enrol(ready, *start(ready)["wave"]["phones"])
    verdict(ready, 1)
    ready.run(lambda c: service.activate(Transaction(c, ready.context, "admin"), False))
    ready.run(lambda c: service.activate(Transaction(c, ready.context, "admin"), True))
    with pytest.raises(ConflictError, match=r"it is outdated: CAPF was activated after .* To do: make one with ucm"):
        start(ready)
    make_ctl_file(ready)
    assert start(ready)["wave"]["number"] == 2


def test_r16_a_dry_run_shows_what_the_run_goes_on_with_while_another_leads_it(ready: Record) -> None:
    settings: dict[str, Any] = {"wave_size": "6", "wave_seconds": 600}
    begin(ready, **settings)
    first = start(ready)["wave"]["phones"]
    enrol(ready, *first[:2])
    fail(ready, first[2], Outcome.INVALID_MIC)
    ready.times[0] = NOW + lease.SECONDS - 1
    live = dry_run(ready, **settings)
    assert live.warnings[0].startswith("another run of the rollout 'night' was active 119 s ago")
    assert next(wave.phones for wave in live.waves) == first[3:] and len(live.waves) == 2
    assert live.skipped == {"Upgrade Success": first[:2], "Upgrade Failed: Invalid MIC": [first[2]]}
    assert live.latest_end == NOW + 1200
    ready.times[0] += 1
    interrupted = dry_run(ready, **settings)
    assert interrupted.warnings == [] and interrupted == begin(ready, runner="run-2", **settings)
    assert start(ready, "run-2")["wave"]["reset"] == live.waves[0].phones


def test_r16_a_dry_run_shows_the_second_try_that_is_left(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    enrol(ready, *first[3:])
    verdict(ready, 1)
    planned = dry_run(ready, RUN).waves
    wave = start(ready)["wave"]
    assert [(item.number, item.kind, item.phones) for item in planned] == [(2, "retry", first[:3])]
    assert (wave["number"], wave["kind"], wave["phones"]) == (2, "retry", first[:3])


def test_r16_a_run_before_the_window_is_refused_where_that_is_wanted(ready: Record) -> None:
    window = {"window_start": at(300), "window_end": at(9000)}
    with pytest.raises(ConflictError, match=r"the window opens at .*; the rollout cannot begin earlier"):
        begin(ready, early=False, **window)
    assert ready.run(show.every) == []
    ready.times[0] = NOW + 300
    assert begin(ready, early=False, **window).waves


def test_r16_a_wave_by_string_has_to_end_in_the_window_too(ready: Record) -> None:
    ready.add(NAMES[0], authentication_mode=STRING)
    times: dict[str, Any] = {"wave_seconds": 100, "string_seconds": 800, "window_end": at(1000)}
    made = begin(ready, wave_size="6", spread_by="none", **times)
    assert made.latest_end == NOW + 900 and not made.warnings
    ready.times[0] = NOW + 201
    assert start(ready)["why"] == "no further wave fits into the window"


def test_r16_a_wave_lasts_as_long_as_phones_may_make_their_keys(ready: Record) -> None:
    ready.set_parameters("service", {"Maximum Allowable Time For Key Generation": 60})
    ready.context.running = ready.run(parameters.stored)
    assert begin(ready, wave_size="12", spread_by="none").latest_end == NOW + 65 * 60


def test_r16_a_rollout_that_is_through_is_done_whatever_is_left_of_the_window(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", wave_seconds=900, window_end=at(1000))
    enrol(ready, *start(ready)["wave"]["phones"])
    verdict(ready, 1)
    ready.times[0] = NOW + 950
    assert start(ready)["why"] == "all waves are done"


def test_a_failed_phone_that_is_not_registered_has_the_advice_of_its_status(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    fail(ready, first[0], Outcome.COMMUNICATION_FAILURE)
    enrol(ready, *first[1:])
    judged = verdict(ready, 1, *first[:2])
    todo = {item["device_name"]: item["advice"] for item in judged["failing"]}
    assert todo[first[0]].startswith("check the phone's network") and todo[first[1]] == NOT_REGISTERED
    enrol(ready, *start(ready)["wave"]["phones"])
    verdict(ready, 2)
    (left,) = ready.run(lambda c: show.state(c, NIGHT))["to_visit"]
    assert (left["device_name"], left["advice"]) == (first[1], NOT_REGISTERED)


def test_a_phone_that_got_its_lsc_otherwise_gets_no_endless_second_tries(ready: Record) -> None:
    begin(ready, wave_size="12", spread_by="none", failure_limit="100%")
    first = start(ready)["wave"]["phones"]
    fail(ready, first[0], Outcome.COMMUNICATION_FAILURE)
    enrol(ready, *first[1:])
    verdict(ready, 1)
    ready.plan(first[0])
    enrol(ready, first[0])
    assert start(ready)["wave"]["reset"] == []
    verdict(ready, 2)
    assert start(ready)["why"] == "all waves are done"
    assert ready.run(lambda c: show.state(c, NIGHT))["counts"]["done"] == 12


def test_phones_are_added_in_the_transaction_that_read_all_phones_of_a_rollout(ready: Record) -> None:
    """Only the statement that needs a server-side cursor uses one: PostgreSQL does not insert lists of rows with it."""
    begin(ready)

    def read_and_change(connection: Connection) -> int:
        rollout = show.find(connection, NIGHT)
        found = len(list(rollout_rows.each_member(connection, rollout.id, "device_pool")))
        more = [{"device_name": f"SEPFFFF0000{number:04X}", "wave": 1} for number in range(2)]
        rollout_rows.add_phones(connection, rollout.id, more)
        return found

    assert ready.run(read_and_change) == len(NAMES)
