# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An unauthenticated claim changes nothing: it is counted and shown, and the operation stays open (P33)."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from capf.model import CertificateState, Operation, Outcome, State
from capf.phone_session.effects import Cause, Fetched, Granted, Refused
from capf.phone_session.verify import certificate_serial
from capf.phone_session.wire import Reason, Tag, unpack_certificates, unpack_sha2
from capf.process.refusal_counter import Refusals
from capf.registry import lifecycle, moment, phones, progress, refusals, report, search, sessions
from capf.registry.context import Policy
from capf.registry.refusals import Gathered
from capf.registry.search import Criterion, Page
from capf.registry.transaction import Transaction
from capf.store import rows, schema
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST, auth_response
from capf_lab.flash import Flash
from support import spreadsheet
from support.client import new_public_key
from support.identity import Manufacturer, hold, new_ec_key, public_der
from support.record import BY_STRING, CODE, NOW, PHONE, Record, public_key

LSC_FIRST = "By Existing Certificate (precedence to LSC)"
MIC_FIRST = "By Existing Certificate (precedence to MIC)"
NULL = "By Null String"
KEY: dict[str, Any] = {"key_order": "EC Only", "ec_key_size": 256}
OTHER = "SEP0000000000FF"
STRANGER = "203.0.113.9"
DAY = 86400


def proof(flash: Flash, mode: int = MODE_MIC_FIRST) -> dict[str, Any]:
    """Return the claim of a phone that authenticates by certificate."""
    elements = auth_response(PHONE, 1, flash, mode, "", 3).elements
    return {
        "certificates": unpack_certificates(elements[Tag.CERTIFICATE]),
        "signed_data": elements[Tag.SIGNED_DATA],
        "sha2_signed_data": unpack_sha2(elements[Tag.SHA2_SIGNED_DATA]),
        "sudi_data": elements.get(Tag.SUDI_DATA),
    }


@pytest.fixture
def maker(record: Record, tmp_path: Path) -> Manufacturer:
    """A manufacturer that the server trusts, with certificates valid at the simulated time."""
    found = Manufacturer(tmp_path)
    record.times[0] = time.time()
    record.context.authority.mic_issuers = (found.maker.certificate,)
    return found


def phone_of(record: Record, name: str = PHONE) -> dict[str, Any]:
    """Return the phone's row."""
    query = select(schema.phones).where(schema.phones.c.device_name == name)
    return dict(record.store.read(lambda c: c.execute(query).mappings().one()))


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a wrong string": (BY_STRING, {"password": "0000"}, "Invalid Authentication String"),
    "no string": (BY_STRING, {}, "Invalid Authentication String"),
    "a string in null mode": (NULL, {"password": "1"}, "Invalid Authentication String"),
    "SUDI data in null mode": (NULL, {"sudi_data": b"x"}, "Invalid MIC"),
    "no LSC": (LSC_FIRST, {}, "Invalid LSC"),
    "no MIC": (MIC_FIRST, {}, "Invalid MIC"),
    "no certificate at all": (MIC_FIRST, {"certificates": ((2, b"x"),)}, "Invalid MIC"),
}


@pytest.mark.parametrize("operation", [Operation.INSTALL, Operation.DELETE, Operation.TROUBLESHOOT])
@pytest.mark.parametrize("case", WRONG)
def test_p33_a_refused_claim_changes_nothing(record: Record, case: str, operation: Operation) -> None:
    mode, credentials, suffix = WRONG[case]
    record.add(mic=False, **KEY)
    record.plan()
    record.install(key=new_public_key())
    record.plan(operation=operation, defaults={"authentication_mode": mode}, force=True)
    before, phone = record.operation(), phone_of(record)
    for _index in range(3):
        record.times[0] += 1
        refused = record.claim(peer=STRANGER, **credentials)
        assert isinstance(refused, Refused) and refused.reason == Reason.REJECTED
    after = record.operation()
    family = {"Install/Upgrade": "Upgrade"}.get(operation, str(operation))
    shown = {"status": f"{family} Failed: {suffix}", "problem": after["problem"], "refusals": 3}
    shown |= {"refused_at": NOW + 3, "refused_from": STRANGER, "refused_as": shown["status"]}
    assert after == {**before, **shown, "refused_because": after["problem"]} and after["problem"]
    assert phone_of(record) == phone


def test_p33_a_wrong_signature_changes_nothing_and_the_right_one_installs(record: Record, maker: Manufacturer) -> None:
    record.add(authentication_mode=MIC_FIRST, mic=True, **KEY)
    record.plan()
    flash = maker.phone(PHONE)
    for changes in ({"signed_data": b"x"}, {"signed_data": None}, {"sha2_signed_data": None}, {"sudi_data": b"x"}):
        assert record.claim(**{**proof(flash), **changes}) == Refused(Reason.REJECTED, Outcome.INVALID_MIC)
        assert (record.operation()["state"], record.operation()["holder"]) == (State.PENDING, "")
    record.install(key=new_public_key(), **proof(flash))
    operation = record.operation()
    assert (operation["status"], operation["problem"], operation["refusals"]) == ("Upgrade Success", "", 4)


def test_p33_a_refused_operation_can_be_cancelled_and_never_installs(record: Record) -> None:
    record.plan_by_string()
    record.claim(password="0000")
    assert record.plan(operation=Operation.NONE).cancelled == [PHONE]
    assert record.claim(password=CODE) == Refused(Reason.NO_ACTION)
    assert record.operation()["authentication_string"] is None


def test_p33_a_replaced_operation_takes_its_string_with_it(record: Record) -> None:
    record.plan_by_string()
    record.claim(password="0000")
    record.plan(items=[{"device_name": PHONE, "authentication_string": "998877"}])
    assert record.claim(password=CODE) == Refused(Reason.REJECTED, Outcome.INVALID_STRING)
    assert isinstance(record.claim(password="998877"), Granted)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.CANCELLED])
def test_p33_what_has_ended_is_never_opened_again(record: Record, state: State) -> None:
    record.plan_by_string()
    record.claim(password="0000")
    status = record.operation()["status"]
    table = schema.operations
    record.run(lambda c: c.execute(table.update().values(state=state.value, status=status, ended_at=NOW)))
    assert record.claim(password=CODE) == Refused(Reason.NO_ACTION)
    assert record.operation()["state"] == state
    assert record.plan(operation=Operation.NONE).skipped == {"no pending operation": [PHONE]}


def test_p33_a_refusal_says_what_was_wrong(record: Record, maker: Manufacturer, tmp_path: Path) -> None:
    record.add(authentication_mode=MIC_FIRST, **KEY)
    record.plan()
    reported = []
    strange = Manufacturer(tmp_path / "strange", "Stranger\n=1+1 " + "x" * 48)
    for subject, options in (
        (f"CP-8845-{PHONE}", {"days": (-20, -10)}),
        (f"CP-8845-{PHONE}", {"days": (10, 20)}),
        (f"CP-8845-{OTHER}", {}),
    ):
        flash = maker.phone(PHONE)
        flash.make_mic(maker.sign(subject, **options))
        record.claim(**proof(flash))
        reported.append(record.operation()["problem"])
    record.claim(**proof(strange.phone(PHONE)))
    reported.append(record.operation()["problem"])
    assert reported[0].startswith("the MIC expired on 20") and reported[1].startswith("the MIC is not valid before 20")
    assert reported[2] == f"the certificate names 'CP-8845-{OTHER}', not {PHONE}"
    assert reported[3].startswith("its issuer 'CN=Stranger") and reported[3].endswith("' is not trusted")
    assert reported[3].isprintable()


def test_p33_only_a_certificate_whose_key_the_phone_has_shows_its_mic(record: Record, maker: Manufacturer) -> None:
    record.add(mic=False, **KEY)
    junk: dict[str, Any] = {"certificates": ((2, b"no certificate at all"),)}
    record.plan()
    record.install(key=new_public_key(), **junk)
    assert not phone_of(record)["mic"]
    record.plan_by_string(**KEY)
    record.install(key=new_public_key(), password=CODE, **junk)
    assert not phone_of(record)["mic"]
    record.plan(defaults={"authentication_mode": MIC_FIRST}, force=True)
    record.grant(**proof(maker.phone(PHONE)))
    assert phone_of(record)["mic"]


def test_p33_a_mic_that_lies_beside_the_lsc_proves_nothing(record: Record, maker: Manufacturer) -> None:
    record.add(mic=False, **KEY)
    record.plan()
    flash, key = maker.phone(PHONE), new_ec_key()
    hold(flash, record.install(key=public_der(key)), key)
    record.plan(defaults={"authentication_mode": LSC_FIRST}, force=True)
    given = proof(flash, MODE_LSC_FIRST)
    given["sudi_data"] = None
    given["certificates"] = (*given["certificates"], (2, b"no certificate"))
    record.grant(**given)
    assert not phone_of(record)["mic"]


def test_p33_sudi_data_proves_the_mic_in_every_mode(record: Record, maker: Manufacturer) -> None:
    record.add(mic=False, **KEY)
    record.plan()
    record.grant(sudi_data=proof(maker.phone(PHONE))["sudi_data"])
    assert phone_of(record)["mic"]


@pytest.mark.parametrize(("mode", "mic"), [(NULL, False), (BY_STRING, True)])
def test_p33_what_was_fetched_is_believed_of_a_phone_that_proved_itself(record: Record, mode: str, mic: bool) -> None:
    record.add(mic=False, **KEY)
    record.plan()
    record.install(key=new_public_key())
    item = {"device_name": PHONE, "authentication_mode": mode}
    item |= {"authentication_string": CODE} if mode == BY_STRING else {}
    record.plan(operation=Operation.TROUBLESHOOT, items=[item])
    held = record.grant(password=CODE if mode == BY_STRING else "").hold
    record.run(lambda c: sessions.fetched(Transaction(c, record.context), Fetched(held, ((2, b"x"),))))
    assert (record.operation()["status"], phone_of(record)["mic"]) == ("Troubleshoot Success", mic)


def test_p33_a_lock_for_wrong_strings_keeps_nobody_out_of_another_mode(record: Record) -> None:
    record.plan_by_string(**KEY)
    for _index in range(20):
        record.claim(password="0000")
    record.plan(defaults={"authentication_mode": NULL})
    assert isinstance(record.claim(), Granted)


def test_p33_the_deadline_ends_an_operation_with_the_last_refusal(record: Record) -> None:
    for name, password in ((PHONE, "0000"), (OTHER, None)):
        record.plan_by_string(name)
        if password is not None:
            record.claim(name, password=password)
    assert record.end_due() == 0
    record.times[0] = NOW + 10 * DAY
    assert record.store.read(lambda c: lifecycle.is_any_due(Transaction(c, record.context)))
    assert (record.end_due(), record.end_due()) == (2, 0)
    ended = [record.operation(name) for name in (PHONE, OTHER)]
    assert [row["status"] for row in ended] == [
        "Upgrade Failed: Invalid Authentication String",
        "Upgrade Failed: User Initiated Request Late/Timedout",
    ]
    assert {(row["state"], row["authentication_string"], row["ended_at"]) for row in ended} == {
        (State.FAILED, None, NOW + 10 * DAY)
    }
    assert record.acts().count("operation failed") == 2
    assert record.claim(password=CODE) == Refused(Reason.NO_ACTION)


def test_p33_the_last_refusal_is_remembered_past_a_lost_session(record: Record) -> None:
    record.plan_by_string()
    record.claim(password="0000")
    record.lose(record.grant(password=CODE).hold)
    assert record.operation()["status"] == "Operation Pending"
    record.times[0] = NOW + 10 * DAY
    record.end_due()
    assert record.operation()["status"] == "Upgrade Failed: Invalid Authentication String"


def test_p33_a_session_at_the_deadline_goes_on(record: Record) -> None:
    record.plan_by_string(**KEY)
    held = record.grant(password=CODE).hold
    record.times[0] = NOW + 10 * DAY
    assert record.end_due() == 0
    assert record.issue(held, new_public_key()) is not None
    record.confirm(held)
    assert record.operation()["status"] == "Upgrade Success"


def test_p33_many_ends_are_shared_out_over_transactions(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "AT_ONCE", 2)
    names = [f"SEP00000000000{index}" for index in range(5)]
    for name in names:
        record.add(name)
    record.plan(*names)
    record.times[0] = NOW + 10 * DAY
    assert [record.end_due() for _index in range(4)] == [2, 2, 1, 0]


def test_p33_two_servers_end_an_operation_once(record: Record) -> None:
    other = dataclasses.replace(record.context, node_name="node2")
    record.add()
    record.plan()
    record.times[0] = NOW + 10 * DAY
    found = record.store.read(lambda c: rows.due_operations(c, int(NOW + 10 * DAY), 10))
    assert record.end_due() == 1
    assert record.run(lambda c: lifecycle._end(Transaction(c, other), found)) == 0
    assert record.acts().count("operation failed") == 1


def test_p33_the_end_of_a_rollout_ends_what_was_refused_and_nothing_else(record: Record) -> None:
    for name in (PHONE, OTHER):
        record.plan_by_string(name)
    record.claim(password="0000")
    record.end_refused(PHONE, OTHER)
    assert record.operation()["status"] == "Upgrade Failed: Invalid Authentication String"
    assert record.operation()["state"] == State.FAILED
    assert record.operation(OTHER)["state"] == State.PENDING


@pytest.mark.parametrize("how", ["abort", "lost", "key", "silent", "no EC", "not stored"])
def test_p33_by_null_string_a_failed_try_is_counted_and_ends_nothing(record: Record, how: str) -> None:
    record.add(**KEY)
    record.plan()
    if how == "no EC":
        record.claim(version=2, peer=STRANGER)
    else:
        held = record.grant(peer=STRANGER).hold
    if how in ("abort", "silent"):
        outcome = Outcome.FAILED if how == "abort" else Outcome.KEY_GENERATION_FAILED
        record.fail(held, outcome, how)
    if how == "key":
        assert record.issue(held, b"no key") is None
    if how == "not stored":
        record.issue(held, new_public_key())
        record.fail(held, Outcome.FAILED, how)
    if how == "lost":
        record.lose(held)
        for _index in range(5):
            record.lose(record.grant(peer=STRANGER).hold)
    operation = record.operation()
    assert operation["state"] in (State.PENDING, State.ISSUED) and operation["holder"] == ""
    assert (operation["refusals"] > 0, operation["refused_from"]) == (True, STRANGER)
    assert operation["status"].startswith("Upgrade Failed") and operation["problem"]
    record.install(key=new_public_key())
    assert record.operation()["status"] == "Upgrade Success"


def test_p33_by_null_string_the_deadline_ends_what_nobody_stored(record: Record) -> None:
    record.add(**KEY)
    record.plan()
    record.fail(record.grant().hold, Outcome.FAILED, "aborted by the phone user")
    record.times[0] = NOW + 10 * DAY
    assert record.end_due() == 1
    operation = record.operation()
    assert (operation["status"], operation["problem"]) == ("Upgrade Failed", "aborted by the phone user")


@pytest.mark.parametrize("far", ["claimed", "issued"])
def test_p33_by_null_string_a_session_never_keeps_a_newer_one_out(record: Record, far: str) -> None:
    record.add(**KEY)
    record.plan()
    stranger = record.grant(peer=STRANGER).hold
    if far == "issued":
        assert record.issue(stranger, new_public_key()) is not None
    phone = record.grant().hold
    assert phone.claim == stranger.claim + 1
    assert record.issue(phone, new_public_key()) is not None
    record.confirm(phone)
    assert record.issue(stranger, new_public_key()) is None
    for act in (record.confirm, record.lose, record.fail):
        act(stranger)
    operation = record.operation()
    assert (operation["status"], operation["claims"], operation["refusals"]) == ("Upgrade Success", 2, 0)
    assert sorted(record.certificates().values()) == ["abandoned", "active"][2 - (1 + (far == "issued")) :]


def test_p33_by_null_string_a_newer_session_does_not_keep_the_older_one_out(record: Record) -> None:
    record.add(**KEY)
    record.plan()
    phone = record.grant().hold
    der = record.issue(phone, new_public_key())
    for _index in range(3):
        record.issue(record.grant(peer=STRANGER).hold, new_public_key())
    record.confirm(phone)
    assert record.operation()["status"] == "Upgrade Success"
    active = [serial for serial, state in record.certificates().items() if state == CertificateState.ACTIVE]
    assert der is not None and active == [f"{certificate_serial(der)}"]
    assert sorted(record.certificates().values()) == ["abandoned"] * 3 + ["active"]


def test_p33_by_null_string_a_session_does_not_keep_the_administrator_out(record: Record) -> None:
    record.add(**KEY)
    record.plan()
    held = record.grant(peer=STRANGER).hold
    assert record.plan(operation=Operation.NONE).cancelled == [PHONE]
    assert record.issue(held, new_public_key()) is None
    assert record.certificates() == {}
    record.plan()
    record.grant(peer=STRANGER)
    changes = record.run(
        lambda c: phones.ensure(Transaction(c, record.context, "admin"), [{"device_name": PHONE}], "absent")
    )
    assert changes.counts["removed"] == 1


@pytest.mark.parametrize("mode", [BY_STRING, MIC_FIRST])
def test_p33_a_session_that_proved_itself_keeps_others_out(record: Record, maker: Manufacturer, mode: str) -> None:
    record.add(authentication_mode=mode, **KEY)
    record.plan(items=[{"device_name": PHONE, **({"authentication_string": CODE} if mode == BY_STRING else {})}])
    given = {"password": CODE} if mode == BY_STRING else proof(maker.phone(PHONE))
    record.grant(**given)
    assert record.claim(**given) == Refused(Reason.REJECTED)
    assert record.operation()["refusals"] == 0


def test_p33_a_refusal_does_not_touch_the_session_that_has_the_operation(record: Record) -> None:
    record.add(**KEY)
    record.plan()
    phone = record.grant().hold
    record.claim(password="1", peer=STRANGER)
    operation = record.operation()
    assert (operation["status"], operation["state"], operation["refusals"]) == ("Operation Pending", "claimed", 1)
    assert record.issue(phone, new_public_key()) is not None
    record.confirm(phone)
    assert record.operation()["status"] == "Upgrade Success"


def test_p33_refusals_without_end_leave_a_bounded_record(record: Record) -> None:
    record.add(authentication_mode=MIC_FIRST)
    record.plan()
    before = len(record.acts())
    for _index in range(120):
        record.claim()
    for _index in range(50):
        record.claim("SEP0000000000EE")
    assert record.operation()["refusals"] == 120
    assert len(record.acts()) - before == 3
    found = Gathered(1_000_000, int(NOW), STRANGER, Outcome.INVALID_MIC, "x")
    record.run(lambda c: refusals.write(Transaction(c, record.context), {record.operation()["id"]: found}))
    assert len(record.acts()) - before == 4


def test_p33_by_null_string_claims_without_end_leave_a_bounded_record(record: Record) -> None:
    record.add(**KEY)
    record.plan()
    before = len(record.acts())
    for index in range(60):
        (record.lose if index % 2 else record.fail)(record.grant().hold)
    assert len(record.acts()) - before <= 6
    assert record.operation()["claims"] == 60


def test_p33_refusals_gather_by_operation_and_are_put_back_where_they_cannot_be_written() -> None:
    book = Refusals()
    refused = Refused(Reason.REJECTED, Outcome.INVALID_MIC, Cause.INVALID_MIC, 7, "no MIC")
    for at in range(1000):
        book.note(refused, STRANGER, at)
        book.note(Refused(Reason.UNKNOWN_DEVICE, cause=Cause.UNKNOWN_DEVICE), STRANGER, at)
    taken = book.take()
    assert taken == {7: Gathered(1000, 999, STRANGER, Outcome.INVALID_MIC, "no MIC")} and book.take() == {}
    book.note(refused, "192.0.2.1", 2000)
    book.put_back(taken)
    assert book.take() == {7: Gathered(1001, 2000, "192.0.2.1", Outcome.INVALID_MIC, "no MIC")}
    assert (book.by_cause[Cause.INVALID_MIC], book.by_cause[Cause.UNKNOWN_DEVICE]) == (1001, 1000)
    assert set(book.by_cause) == set(Cause)


def test_p33_the_last_word_on_sudi_is_of_the_policy(record: Record, maker: Manufacturer) -> None:
    record.context.policy = Policy(require_sudi=True)
    record.add(authentication_mode=MIC_FIRST, **KEY)
    record.plan()
    given = proof(maker.phone(PHONE))
    record.claim(**{**given, "sudi_data": None})
    assert record.operation()["problem"] == "the phone sent no SUDI data"
    assert isinstance(record.claim(**given), Granted)


def found(record: Record, *criteria: Criterion) -> list[dict[str, Any]]:
    """Return the phones that match, as the API shows them."""
    return record.store.read(lambda c: search.find(Transaction(c, record.context), criteria, Page(), strings=False))[1]


def test_p33_refusals_are_shown_searched_and_reported(record: Record) -> None:
    for name in (PHONE, OTHER):
        record.plan_by_string(name)
    record.claim(password="0000", peer=STRANGER)
    (phone,) = found(record, Criterion("refused_from", "is exactly", STRANGER))
    assert (phone["device_name"], phone["operation_state"], phone["refusals"]) == (PHONE, "pending", 1)
    why = "Upgrade Failed: Invalid Authentication String: a wrong string"
    assert (phone["last_refusal"], phone["refused_from"]) == (why, STRANGER)
    assert phone["refused_at"] == moment.show(int(NOW))
    assert [row["device_name"] for row in found(record, Criterion("refused_at", "is empty"))] == [OTHER]
    assert found(record, Criterion("last_refusal", "ends with", "a wrong string")) == [phone]
    record.install(key=public_key(), password=CODE)
    (phone,) = found(record, Criterion("refused_from", "is not empty"))
    assert (phone["operation_status"], phone["last_problem"], phone["last_refusal"]) == ("Upgrade Success", "", why)
    text = "".join(report.csv_pieces([{**row, "authentication_string": ""} for row in found(record)]))
    *lines, first = spreadsheet.opened(text)
    assert [first[name] for name in ("Refusals", "Last Refusal", "Last Refusal From")] == ["1", why, STRANGER]
    assert [line["Refusals"] for line in lines] == ["0"]


def test_p33_a_refused_phone_is_waited_for_and_named(record: Record) -> None:
    for name in (PHONE, OTHER):
        record.plan_by_string(name)
    record.claim(password="0000", peer=STRANGER)
    seen = record.store.read(lambda c: progress.progress(c, [PHONE, OTHER]))
    assert (seen["ended"], seen["failed"], seen["in_flight"]) == (False, [], [OTHER, PHONE])
    (refused,) = seen["refused"]
    assert refused == {
        "device_name": PHONE,
        "status": "Upgrade Failed: Invalid Authentication String",
        "refusals": 1,
        "last_refusal": "Upgrade Failed: Invalid Authentication String: a wrong string",
        "refused_at": moment.show(int(NOW)),
        "refused_from": STRANGER,
    }
