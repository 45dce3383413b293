# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The effects of sessions on the record: claims, one-time strings, issue before send, retries (R5, R14, R18)."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from capf.certificates import authority
from capf.model import CertificateState, Operation, Outcome, State
from capf.phone_session.effects import Cause, Claim, Fetched, Granted, Hold, Refused
from capf.phone_session.wire import Reason, Tag, unpack_certificates, unpack_sha2
from capf.registry import phones, sessions
from capf.registry.context import Policy
from capf.registry.transaction import Transaction
from capf.store import audit, rows
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST, auth_response
from capf_lab.flash import Flash
from support import canary
from support.identity import Manufacturer, hold, new_ec_key, public_der
from support.record import BY_STRING, CODE, NOW, PHONE, Record, claiming, public_key

LSC_FIRST = "By Existing Certificate (precedence to LSC)"
MIC_FIRST = "By Existing Certificate (precedence to MIC)"


def test_p3_r14_the_string_is_for_one_use(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "12345678"}])
    record.install(password="12345678")
    assert record.operation()["authentication_string"] is None
    assert record.claim(password="12345678") == Refused(Reason.NO_ACTION)
    record.plan(force=True)
    assert record.claim(password="12345678") == Refused(Reason.REJECTED, Outcome.INVALID_STRING)


def test_r14_a_wrong_string_is_shown_as_a_failure_and_the_right_one_goes_on(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "1234"}])
    for wrong in ("4321", "12345", "", None):
        assert record.claim(password=wrong) == Refused(Reason.REJECTED, Outcome.INVALID_STRING)
        assert record.operation()["status"] == "Upgrade Failed: Invalid Authentication String"
    record.install(password="1234")
    assert record.operation()["status"] == "Upgrade Success"


def test_r14_ten_wrong_strings_lock_the_phone_for_ten_minutes(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "1234"}])
    for _index in range(10):
        record.claim(password="9999")
    assert record.claim(password="1234") == Refused(Reason.REJECTED, Outcome.INVALID_STRING)
    record.wait(599)
    assert isinstance(record.claim(password="1234"), Refused)
    record.wait(2)
    assert isinstance(record.claim(password="1234"), Granted)


def test_r14_the_string_is_encrypted_at_rest(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": canary.STRING}])
    kept = record.operation()["authentication_string"]
    assert canary.STRING.encode() not in kept
    assert record.context.secrets.decrypt(kept, PHONE) == canary.STRING


def test_p4_a_lock_can_be_lifted_and_its_length_is_a_setting(record: Record) -> None:
    record.context.policy = Policy(lock_seconds=60)
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "1234"}])
    for _index in range(10):
        record.claim(password="9999")
    assert isinstance(record.claim(password="1234"), Refused)
    assert record.run(lambda c: phones.unlock(Transaction(c, record.context, "test"), [PHONE])) == [PHONE]
    assert record.run(lambda c: phones.unlock(Transaction(c, record.context, "test"), [PHONE])) == []
    assert isinstance(record.claim(password="1234"), Granted)
    assert "unlock phone" in record.acts()


def test_p4_tries_in_parallel_do_not_exceed_the_limit(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "0042"}])
    tries = [
        record.store.submit(claiming(record.context, Claim(PHONE, 3, 1, "192.0.2.1", password=f"{number:04}")))
        for number in range(1000, 1100)
    ]
    refused = [decision for future in tries if isinstance(decision := future.result(), Refused)]
    causes = Counter(decision.cause for decision in refused)
    assert causes == {Cause.INVALID_STRING: 10, Cause.LOCKED: 90}
    assert record.acts().count("lock phone") == 1


def test_p6_a_serial_number_that_is_taken_is_drawn_again(record: Record, signer: tuple[Any, Any]) -> None:
    drawn = iter([b"\x05" * 16, b"\x05" * 16, b"\x06" * 16])
    record.context.authority = authority.Authority(*signer, lambda count: next(drawn)[:count])
    for name in (PHONE, "SEP001122334466"):
        record.add(name)
        record.plan(name)
        record.install(name)
    assert list(record.certificates()) == ["05" * 16]
    assert list(record.certificates("SEP001122334466")) == ["06" * 16]


def test_p6_every_one_of_the_128_bits_is_random() -> None:
    serials = [authority.new_serial(os.urandom) for _index in range(400)]
    assert all(0 < serial < 1 << 128 for serial in serials)
    for bit in range(128):
        assert 100 < sum(serial >> bit & 1 for serial in serials) < 300


def test_p2_an_lsc_whose_successor_was_lost_on_the_way_still_authenticates(record: Record, tmp_path: Path) -> None:
    record.add(authentication_mode=LSC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan(items=[{"device_name": PHONE, "authentication_mode": "By Null String"}])
    flash = Flash(tmp_path / "flash")
    _enrol(record, flash, {"password": ""})
    record.plan(force=True)
    held = _enrol(record, flash, proof(flash), confirm=False)
    record.lose(held)
    granted = record.grant(**proof(flash))
    record.issue(granted.hold, public_der(new_ec_key()))
    assert sorted(record.certificates().values()) == ["abandoned", "active", "issued"]
    record.lose(granted.hold)
    _enrol(record, flash, proof(flash))
    assert record.operation()["status"] == "Upgrade Success"
    assert sorted(record.certificates().values()) == ["abandoned", "abandoned", "active", "superseded"]


def test_p2_an_lsc_stays_the_phones_until_a_later_operation_is_confirmed(record: Record, tmp_path: Path) -> None:
    record.add(authentication_mode=LSC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan(items=[{"device_name": PHONE, "authentication_mode": "By Null String"}])
    flash = Flash(tmp_path / "flash")
    _enrol(record, flash, {"password": ""})
    record.plan(force=True)
    _lose_for_good(record, _enrol(record, flash, proof(flash), confirm=False))
    record.plan(force=True)
    granted = record.grant(**proof(flash))
    record.issue(granted.hold, public_der(new_ec_key()))
    record.lose(granted.hold)
    again = record.grant(**proof(flash))
    assert again.hold.operation_id == granted.hold.operation_id
    _lose_for_good(record, again.hold)
    record.plan(force=True)
    shutil.copytree(tmp_path / "flash", tmp_path / "old", dirs_exist_ok=True)
    _enrol(record, flash, proof(flash))
    record.plan(force=True)
    assert record.claim(**proof(Flash(tmp_path / "old"))) == Refused(Reason.REJECTED, Outcome.INVALID_LSC)


def test_p10_no_lsc_that_was_abandoned_outlasts_a_delete(record: Record, tmp_path: Path) -> None:
    record.add(authentication_mode="By Null String", key_order="EC Only", ec_key_size=256)
    record.plan()
    flash, old = Flash(tmp_path / "flash"), Flash(tmp_path / "old")
    _enrol(record, flash, {"password": ""})
    record.plan(force=True)
    held = _enrol(record, old, {"password": ""}, confirm=False)
    record.lose(held)
    _lose_for_good(record, _enrol(record, flash, {"password": ""}, confirm=False))
    record.plan(operation=Operation.DELETE)
    record.confirm(record.grant(password="").hold)
    record.plan(defaults={"authentication_mode": LSC_FIRST})
    assert record.claim(**proof(old)) == Refused(Reason.REJECTED, Outcome.INVALID_LSC)


def test_p2_a_phone_whose_delete_was_lost_on_the_way_authenticates_by_its_mic(record: Record, tmp_path: Path) -> None:
    maker = _trusted_maker(record, tmp_path)
    record.add(authentication_mode=LSC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan()
    flash, mic_only = maker.phone(PHONE), maker.phone(PHONE)
    _enrol(record, flash, proof(flash))
    record.plan(operation=Operation.DELETE)
    assert record.claim(**proof(mic_only)) == Refused(Reason.REJECTED, Outcome.INVALID_LSC)
    record.plan(operation=Operation.DELETE)
    granted = record.grant(**proof(flash))
    flash.delete_lsc()
    record.lose(granted.hold)
    record.confirm(record.grant(**proof(flash)).hold)
    assert record.operation()["status"] == "Delete Success"
    record.plan()
    _enrol(record, flash, proof(flash))
    assert sorted(record.certificates().values()) == ["active", "deleted"]


def test_r1_precedence_to_mic_wants_the_mic_of_a_phone_that_has_one(record: Record, tmp_path: Path) -> None:
    maker = _trusted_maker(record, tmp_path)
    record.add(authentication_mode=MIC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan(items=[{"device_name": PHONE, "authentication_mode": "By Null String"}])
    flash = Flash(tmp_path / "flash")
    _enrol(record, flash, {"password": ""})
    record.plan(force=True)
    _enrol(record, flash, proof(flash, MODE_MIC_FIRST))
    record.add(mic=True)
    record.plan(force=True)
    assert record.claim(**proof(flash, MODE_MIC_FIRST)) == Refused(Reason.REJECTED, Outcome.INVALID_MIC)
    record.plan(force=True)
    flash.make_mic(maker.sign(f"CP-8845-{PHONE}"))
    assert isinstance(record.claim(**proof(flash, MODE_MIC_FIRST)), Granted)


def test_p2_only_the_phones_own_mic_goes_on_with_its_delete(record: Record, tmp_path: Path) -> None:
    maker = _trusted_maker(record, tmp_path)
    record.add(authentication_mode=LSC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan()
    flash = maker.phone(PHONE)
    _enrol(record, flash, proof(flash))
    record.plan(operation=Operation.DELETE)
    granted = record.grant(**proof(flash))
    record.lose(granted.hold)
    other = maker.phone("SEP001122334466")
    assert record.claim(**proof(other)) == Refused(Reason.REJECTED, Outcome.INVALID_CREDENTIALS)


def test_p10_a_superseded_lsc_is_refused(record: Record, tmp_path: Path) -> None:
    record.add(authentication_mode=LSC_FIRST, key_order="EC Only", ec_key_size=256)
    record.plan(items=[{"device_name": PHONE, "authentication_mode": "By Null String"}])
    old, new = Flash(tmp_path / "old"), Flash(tmp_path / "new")
    _enrol(record, old, {"password": ""})
    record.plan(force=True)
    shutil.copytree(tmp_path / "old", tmp_path / "new", dirs_exist_ok=True)
    _enrol(record, new, proof(new))
    record.plan(force=True)
    assert record.claim(**proof(old)) == Refused(Reason.REJECTED, Outcome.INVALID_LSC)


def test_a_deleted_lsc_takes_one_that_was_never_confirmed_with_it(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    record.plan(force=True)
    granted = record.grant()
    record.issue(granted.hold, public_key())
    record.fail(granted.hold, Outcome.FAILED, "not stored")
    record.plan(operation=Operation.DELETE)
    record.confirm(record.grant().hold)
    assert list(record.certificates().values()) == [CertificateState.DELETED] * 2


@pytest.mark.parametrize("mode", ["By Null String", BY_STRING])
def test_p11_sudi_data_has_to_bind_to_the_session_in_every_mode(record: Record, tmp_path: Path, mode: str) -> None:
    maker = _trusted_maker(record, tmp_path)
    record.add(authentication_mode=mode)
    record.plan(items=[{"device_name": PHONE, **({"authentication_string": "4711"} if mode == BY_STRING else {})}])
    password = "4711" if mode == BY_STRING else ""
    sudi = proof(maker.phone(PHONE), MODE_MIC_FIRST)["sudi_data"]
    assert record.claim(password=password, sudi_data=sudi[:-1] + bytes((sudi[-1] ^ 1,))) == Refused(
        Reason.REJECTED, Outcome.INVALID_MIC
    )
    record.plan(items=[{"device_name": PHONE, **({"authentication_string": "4711"} if mode == BY_STRING else {})}])
    assert isinstance(record.claim(password=password, sudi_data=sudi), Granted)


def _trusted_maker(record: Record, directory: Path) -> Manufacturer:
    """Return a manufacturer that the server trusts, with MICs valid at the simulated time."""
    maker = Manufacturer(directory)
    record.times[0] = time.time()
    record.context.authority.mic_issuers = (maker.maker.certificate,)
    return maker


def _enrol(record: Record, flash: Flash, credentials: dict[str, Any], confirm: bool = True) -> Hold:
    """Run the installation of a phone, including its flash; return the operation."""
    granted, key = record.grant(**credentials), new_ec_key()
    der = record.issue(granted.hold, public_der(key))
    assert der is not None
    hold(flash, der, key)
    if confirm:
        record.confirm(granted.hold)
    return granted.hold


def _lose_for_good(record: Record, held: Hold) -> None:
    """End an operation as four lost sessions do, independently of the phone's state."""
    record.fail(held, Outcome.COMMUNICATION_FAILURE, "lost")


def proof(flash: Flash, mode: int = MODE_LSC_FIRST) -> dict[str, Any]:
    """Return the claim of a phone that authenticates by certificate."""
    elements = auth_response(PHONE, 1, flash, mode, "", 3).elements
    return {
        "certificates": unpack_certificates(elements[Tag.CERTIFICATE]),
        "signed_data": elements[Tag.SIGNED_DATA],
        "sha2_signed_data": unpack_sha2(elements[Tag.SHA2_SIGNED_DATA]),
        "sudi_data": elements.get(Tag.SUDI_DATA),
    }


def test_p3_two_servers_on_one_database_never_share_an_operation(record: Record) -> None:
    other = dataclasses.replace(record.context, node_name="node2")
    record.plan_by_string()
    granted = record.grant(password=CODE)
    record.issue(granted.hold, public_key())
    wanted = Claim(PHONE, 3, 2, "192.0.2.1", password=CODE)
    assert record.run(lambda c: sessions.claim(Transaction(c, other), wanted)) == Refused(Reason.REJECTED)
    assert record.run(lambda c: sessions.recover(Transaction(c, other))) == 0
    assert record.run(lambda c: sessions.recover(Transaction(c, record.context))) == 1
    assert isinstance(record.run(lambda c: sessions.claim(Transaction(c, other), wanted)), Granted)


def test_p24_key_generation_parameters_reach_the_session(record: Record) -> None:
    record.add()
    record.plan()
    change = {"Maximum Allowable Time For Key Generation": 7, "Maximum Allowable Attempts For Key Generation": 0}
    record.set_parameters("service", change)
    granted = record.grant()
    assert (granted.key_timeout, granted.attempts) == (420, 1)


def test_p24_the_key_size_parameter_is_for_phones_that_have_none(record: Record) -> None:
    record.set_parameters("service", {"Key Size": 4096})
    record.add()
    record.add("SEP001122334466", key_size=1024)
    record.plan(PHONE, "SEP001122334466")
    assert [record.grant(name).keys[0].bits for name in (PHONE, "SEP001122334466")] == [4096, 1024]


def test_p24_operations_expire_in_as_many_days_as_the_parameter_says(record: Record) -> None:
    record.set_parameters("enterprise", {"CAPF Operation Expires in (days)": 2})
    record.add()
    assert record.plan().completes_by == NOW + 2 * 86400


def test_p25_a_clock_that_jumps_a_year_touches_validity_only(record: Record) -> None:
    record.add()
    record.plan()
    first = x509.load_der_x509_certificate(record.install())
    record.times[0] = NOW + 366 * 86400
    record.plan(force=True)
    second = x509.load_der_x509_certificate(record.install())
    assert (second.not_valid_after_utc - first.not_valid_after_utc).days == 366
    record.times[0] = NOW
    assert record.plan().skipped == {"LSC is right": [PHONE]}
    assert record.store.read(audit.broken_row) is None


def test_one_operation_is_for_one_session_at_a_time(record: Record) -> None:
    record.plan_by_string()
    record.grant(password=CODE)
    assert record.claim(password=CODE) == Refused(Reason.REJECTED)


@pytest.mark.parametrize("state", [State.PENDING, State.ISSUED])
def test_p3_of_two_servers_that_saw_the_same_operation_one_takes_it(record: Record, state: State) -> None:
    record.plan_by_string()
    if state is State.ISSUED:
        record.issue(record.grant(password=CODE).hold, public_key())
        record.run(lambda c: sessions.recover(Transaction(c, record.context)))
    seen = record.operation()
    assert (seen["state"], seen["holder"]) == (state, "")

    def take(holder: str) -> bool:
        return record.run(lambda c: rows.hold(c, seen["id"], holder, seen["claims"], alone=True))

    assert [take("one"), take("two")] == [True, False]
    record.run(lambda c: rows.release(c, "one"))
    assert not take("two"), "it was claimed in the meantime"


def test_p1_a_certificate_is_on_record_before_the_phone_can_get_it(record: Record) -> None:
    record.add()
    record.plan()
    der = record.issue(record.grant().hold, public_key())
    assert der is not None
    serial = f"{x509.load_der_x509_certificate(der).serial_number:032x}"
    assert record.certificates() == {serial: CertificateState.ISSUED}
    assert record.operation()["state"] == State.ISSUED
    assert record.acts()[-1] == "issue certificate"


def test_p5_nothing_is_done_before_the_phone_says_so(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    record.issue(granted.hold, public_key())
    assert record.operation()["status"] == "Operation Pending"
    record.confirm(granted.hold)
    assert record.operation()["status"] == "Upgrade Success"
    assert list(record.certificates().values()) == [CertificateState.ACTIVE]


def test_r5_a_lost_session_is_taken_up_by_the_phones_retry(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    first = record.issue(granted.hold, public_key())
    record.lose(granted.hold)
    again = record.grant()
    assert again.hold.operation_id == granted.hold.operation_id
    assert record.issue(again.hold, public_key()) != first
    record.confirm(again.hold)
    assert sorted(record.certificates().values()) == [CertificateState.ABANDONED, CertificateState.ACTIVE]


def test_r5_four_lost_sessions_are_a_communication_failure(record: Record) -> None:
    record.plan_by_string()
    for _index in range(4):
        record.lose(record.grant(password=CODE).hold)
    assert record.operation()["status"] == "Upgrade Failed: Phone Communication Failure"
    assert record.claim(password=CODE) == Refused(Reason.NO_ACTION)


def test_r18_a_restart_gives_open_operations_back_to_the_phones(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    assert record.run(lambda c: sessions.recover(Transaction(c, record.context))) == 1
    assert record.operation()["state"] == State.PENDING
    assert record.grant().hold.operation_id == granted.hold.operation_id


def test_p8_a_session_after_the_deadline_is_late(record: Record) -> None:
    record.add()
    record.plan()
    record.times[0] = NOW + 11 * 86400
    assert record.claim() == Refused(Reason.REJECTED, Outcome.LATE)
    assert (record.operation()["status"], record.operation()["refusals"]) == ("Operation Pending", 0)
    assert record.end_due() == 1
    assert record.operation()["status"] == "Upgrade Failed: User Initiated Request Late/Timedout"
    assert record.claim() == Refused(Reason.NO_ACTION)


def test_an_unknown_device_is_reported_so(record: Record) -> None:
    assert record.claim("SEP0000000000FF") == Refused(Reason.UNKNOWN_DEVICE)


def test_a_version_2_client_cannot_have_an_ec_key(record: Record) -> None:
    record.add(key_order="EC Only")
    record.plan()
    assert record.claim(version=2) == Refused(Reason.REJECTED, Outcome.NO_EC_SUPPORT)
    assert record.operation()["status"] == "Upgrade Failed: No Support for EC only in CAPF version 3"


def test_ec_preferred_gives_a_version_2_client_rsa(record: Record) -> None:
    record.add(key_order="EC Preferred, RSA Backup")
    record.plan()
    assert [key.ec for key in record.grant(version=2).keys] == [False]


@pytest.mark.parametrize("key", [public_key(1024), b"no key", b""])
def test_a_key_that_was_not_asked_for_is_not_signed(record: Record, key: bytes) -> None:
    record.add()
    record.plan()
    assert record.issue(record.grant().hold, key) is None
    assert record.operation()["status"] == "Upgrade Failed"
    assert record.certificates() == {}


def test_a_key_that_has_a_certificate_is_not_signed_again(record: Record) -> None:
    key = public_key()
    for name in (PHONE, "SEP001122334466"):
        record.add(name)
        record.plan(name)
        granted = record.grant(name)
        issued = record.issue(granted.hold, key)
    assert issued is None


def test_r2_an_upgrade_supersedes_the_earlier_lsc(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    record.plan(force=True)
    record.install()
    assert sorted(record.certificates().values()) == [CertificateState.ACTIVE, CertificateState.SUPERSEDED]


def test_r2_a_deleted_lsc_is_no_longer_active(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    record.plan(operation=Operation.DELETE)
    record.confirm(record.grant().hold)
    assert list(record.certificates().values()) == [CertificateState.DELETED]
    assert record.operation()["status"] == "Delete Success"


def test_r7_an_abort_by_the_phone_user_is_recorded_as_what_it_is(record: Record) -> None:
    record.add()
    record.plan()
    granted = record.grant()
    record.fail(granted.hold, Outcome.FAILED, "aborted by the phone user")
    operation = record.operation()
    assert (operation["status"], operation["problem"]) == ("Upgrade Failed", "aborted by the phone user")


def test_r27_troubleshoot_writes_one_trace_file_per_certificate_type(record: Record) -> None:
    record.add(mic=True)
    record.plan()
    der = record.install()
    record.plan(operation=Operation.TROUBLESHOOT)
    granted = record.grant()
    held = ((1, der), (2, der))
    record.run(lambda c: sessions.fetched(Transaction(c, record.context), Fetched(granted.hold, held)))
    files = sorted(path.name for path in record.context.trace_directory.iterdir())
    assert files == [f"{PHONE}-LSC.txt", f"{PHONE}-MIC.txt"]
    assert record.operation()["status"] == "Troubleshoot Success"
    assert f"CN={PHONE}" in (record.context.trace_directory / files[0]).read_text()


def test_every_act_has_its_audit_row(record: Record) -> None:
    record.add()
    record.plan()
    record.install()
    wanted = ["add phone", "schedule operation", "claim operation", "issue certificate", "operation done"]
    assert record.acts() == wanted
