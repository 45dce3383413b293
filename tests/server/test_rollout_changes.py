# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of phones and time during a rollout (R10, R18)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from capf.model import Operation, Outcome
from capf.phone_session.effects import Fetched
from capf.registry import parts, phones, sessions
from capf.registry.parts import WITHOUT_LSC
from capf.registry.rollout import advice, rollout_report
from capf.registry.rollout import begin as beginning
from capf.registry.transaction import Transaction
from capf.store import rows
from support.client import new_public_key
from support.record import NOW, Record
from support.rollouts import NAMES, NIGHT, STRING, at, begin, enrol, members, problems, start, verdict

MIC_FIRST = "By Existing Certificate (precedence to MIC)"


def delete_in_session(record: Record) -> None:
    """An operation deletes the phone's LSC, and its session is open while the wave starts."""
    record.plan(NAMES[0], operation=Operation.DELETE)
    granted = record.grant(NAMES[0])
    start(record)
    record.confirm(granted.hold)


def troubleshoot_in_session(record: Record) -> None:
    """An operation reads the phone's certificates, and its session is open while the wave starts."""
    record.plan(NAMES[0], operation=Operation.TROUBLESHOOT)
    granted = record.grant(NAMES[0])
    start(record)
    record.run(lambda c: sessions.fetched(Transaction(c, record.context), Fetched(granted.hold, ())))
    record.plan(NAMES[0], operation=Operation.DELETE)
    record.confirm(record.grant(NAMES[0]).hold)


def deleted_after_done(record: Record) -> None:
    """The phone gets its LSC in the wave, and loses it before the wave is judged."""
    start(record)
    enrol(record, NAMES[0])
    record.plan(NAMES[0], operation=Operation.DELETE)
    record.confirm(record.grant(NAMES[0]).hold)


@pytest.mark.parametrize("meanwhile", [delete_in_session, troubleshoot_in_session, deleted_after_done])
def test_r10_a_phone_whose_lsc_another_operation_deleted_stays_non_secure(
    ready: Record, meanwhile: Callable[[Record], None]
) -> None:
    ready.plan(NAMES[0])
    enrol(ready, NAMES[0])
    begin(ready, NAMES[0], force=True, modes_after={NAMES[0]: "Encrypted"})
    meanwhile(ready)
    judged = verdict(ready, 1)
    assert judged["switched"] == []
    assert members(ready)[0].device_security_mode == "Non Secure"


def test_r10_a_phone_that_lost_its_lsc_again_counts_as_failing(ready: Record) -> None:
    begin(ready, NAMES[0], failure_limit="0")
    deleted_after_done(ready)
    judged = verdict(ready, 1)
    assert judged["stopped"]
    assert [item["advice"] for item in judged["failing"]] == [WITHOUT_LSC]


def test_r10_a_phone_that_is_done_after_its_wave_was_judged_becomes_secure_too(ready: Record) -> None:
    begin(ready, NAMES[0], failure_limit="100%", modes_after={NAMES[0]: "Encrypted"})
    wave = start(ready)["wave"]
    granted = ready.grant(NAMES[0])
    ready.times[0] += wave["seconds_left"]
    assert verdict(ready, 1)["switched"] == []
    assert start(ready)["why"] == "1 phone to become secure in a session"
    assert ready.issue(granted.hold, new_public_key())
    ready.confirm(granted.hold)
    second = start(ready)["wave"]
    assert (second["kind"], second["phones"], second["reset"]) == ("retry", [NAMES[0]], [])
    assert verdict(ready, 2)["switched"] == [NAMES[0]]
    assert start(ready)["why"] == "all waves are done"


def test_r18_a_wave_taken_up_after_its_time_gives_its_phones_time_again(ready: Record) -> None:
    begin(ready, window_end=at(8 * 3600), wave_size="12", spread_by="none")
    wave = start(ready)["wave"]
    enrol(ready, *wave["phones"][:6])
    ready.times[0] += wave["seconds_left"] + 600
    resumed = begin(ready, runner="run-2", window_end=at(8 * 3600), wave_size="12", spread_by="none")
    again = start(ready, "run-2")["wave"]
    assert (again["number"], again["resumed"], again["seconds_left"]) == (1, True, wave["seconds_left"])
    assert resumed.latest_end == ready.times[0] + wave["seconds_left"]
    assert len(again["reset"]) == 6


def test_r18_a_wave_taken_up_near_the_end_of_the_window_ends_with_it(ready: Record) -> None:
    begin(ready, window_end=at(8 * 3600), wave_size="12", spread_by="none")
    start(ready)
    ready.times[0] = NOW + 8 * 3600 - 60
    begin(ready, runner="run-2", window_end=at(8 * 3600), wave_size="12", spread_by="none")
    assert start(ready, "run-2")["wave"]["seconds_left"] == 60


def by_string(record: Record) -> None:
    """Make all phones authenticate by string."""
    wanted = [{"device_name": name, "authentication_mode": STRING} for name in NAMES]
    record.run(lambda c: phones.ensure(Transaction(c, record.context, "admin"), wanted, "present"))


def test_p54_a_wave_goes_on_without_a_phone_that_could_only_fail_by_then(ready: Record) -> None:
    by_string(ready)
    begin(ready, *NAMES[:6], wave_size="6", spread_by="none", failure_limit="0")
    secure = [{"device_name": NAMES[0], "device_security_mode": "Encrypted"}]
    ready.run(lambda c: phones.ensure(Transaction(c, ready.context, "admin"), secure, "present"))
    assert start(ready)["wave"]["phones"] == NAMES[1:6]
    (left_out,) = [row for row in members(ready) if row.device_name == NAMES[0]]
    assert left_out.note.startswith("not tried: it is a secure device without an LSC, which could never register")
    assert parts.of(left_out) is parts.Part.SKIPPED
    todo = "choose another authentication mode, or make the device Non Secure first"
    assert advice.of(left_out) == f"{todo}, and include the phone in the next rollout"
    assert [row["device_name"] for row in verdict(ready, 1)["failing"]] == NAMES[1:6]


def test_p54_a_rollout_leaves_out_and_reports_who_could_only_fail(ready: Record) -> None:
    wanted = [{"device_name": name, "authentication_mode": MIC_FIRST, "mic": True} for name in NAMES[:2]]
    ready.run(lambda c: phones.ensure(Transaction(c, ready.context, "admin"), wanted, "present"))
    made = begin(ready, wave_size="12", spread_by="none")
    ((reason, names),) = made.skipped.items()
    assert names == NAMES[:2] and reason.startswith("not tried: it authenticates by its MIC, and no manufacturing CA")
    assert [wave.phones for wave in made.waves] == [NAMES[2:]]
    lines = {
        row["Device Name"]: row
        for row in csv.DictReader(io.StringIO("".join(ready.store.read(report_of)).removeprefix("\ufeff")))
    }
    assert (lines[NAMES[0]]["Part"], lines[NAMES[0]]["Operation Status"]) == ("skipped", reason)
    assert (lines[NAMES[0]]["Wave"], lines[NAMES[2]]["Wave"]) == ("", "1")
    assert start(ready)["wave"]["phones"] == NAMES[2:]
    begin(ready, NAMES[0], rollout="other", spread_by="none")


def report_of(connection: Connection) -> list[str]:
    """Return the pieces of the rollout's report."""
    return list(rollout_report.csv_pieces(connection, NIGHT))


def test_p54_who_could_only_fail_when_it_was_to_be_retried_is_not_retried_again(ready: Record) -> None:
    by_string(ready)
    begin(ready, NAMES[0], failure_limit="100%", spread_by="none", retries=3, strings={NAMES[0]: "4711"})
    start(ready)
    ready.fail(ready.grant(NAMES[0], password=string_of(ready)).hold, Outcome.FAILED, "try again")
    verdict(ready, 1)
    secure = [{"device_name": NAMES[0], "device_security_mode": "Encrypted"}]
    ready.run(lambda c: phones.ensure(Transaction(c, ready.context, "admin"), secure, "present"))
    retry = start(ready)["wave"]
    assert (retry["kind"], retry["reset"], retry["by_string"]) == ("retry", [], [])
    verdict(ready, 2)
    assert start(ready)["why"] == "all waves are done"
    (left_out,) = members(ready)
    assert parts.of(left_out) is parts.Part.FAILED and left_out.note.startswith("not tried: ")


def string_of(record: Record) -> str:
    """Return the string of the first phone's operation."""
    return record.context.secrets.read(record.operation(NAMES[0])["authentication_string"], NAMES[0]) or ""


def test_r16_a_string_that_became_wrong_before_its_wave_is_refused_for_that_phone_alone(ready: Record) -> None:
    by_string(ready)
    begin(ready, *NAMES[:2], spread_by="none", failure_limit="100%", strings={NAMES[0]: "471147"})
    assert start(ready, strings={NAMES[0]: "4.7E+5"})["wave"]["phones"] == [NAMES[1]]
    (refused,) = [row for row in members(ready) if row.device_name == NAMES[0]]
    assert refused.note.startswith(f"{parts.REFUSED}: an authentication string has 4 to 10 digits")
    assert parts.of(refused) is parts.Part.FAILED and advice.of(refused) == advice.FIX_AND_REPEAT


def test_a_wrong_authentication_string_is_named_before_the_rollout_begins(ready: Record) -> None:
    by_string(ready)
    reported = problems(ready, strings={NAMES[1]: "47a1"})
    assert "phones[1].authentication_string" in reported and "47a1" not in reported
    begin(ready, strings={NAMES[1]: "4711"})


def test_a_phone_that_was_removed_stays_out_of_a_running_rollout(ready: Record) -> None:
    begin(ready, NAMES[0], modes_after={NAMES[0]: "Encrypted"}, failure_limit="100%")
    start(ready)
    absent = [{"device_name": NAMES[0]}]
    ready.run(lambda c: phones.ensure(Transaction(c, ready.context, "admin"), absent, "absent"))
    ready.plan(NAMES[1])
    enrol(ready, NAMES[1])
    judged = verdict(ready, 1)
    assert (judged["counts"]["done"], judged["switched"]) == (0, [])
    assert NAMES[0] not in ready.run(lambda c: rows.phones_of(c, NAMES))


def test_a_phone_that_was_removed_with_its_lsc_is_registered_again_by_a_rollouts_list(ready: Record) -> None:
    ready.plan(NAMES[0])
    enrol(ready, NAMES[0])
    given = [{"device_name": NAMES[0], "device_security_mode": "Non Secure", "security_mode_after": "Encrypted"}]
    ready.run(lambda c: phones.ensure(Transaction(c, ready.context, "admin"), [{"device_name": NAMES[0]}], "absent"))
    settings = ready.run(lambda c: beginning.settings_of(c, given))
    assert settings == [{"device_name": NAMES[0], "device_security_mode": "Non Secure"}]
