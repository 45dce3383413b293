# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Importing the data of an earlier CAPF into the record (R23)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from capf.certificates.authority import Authority, key_id, make_capf_certificate
from capf.model import InvalidRequestError, KeySpec, Operation
from capf.registry import phone_import
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rows, schema
from capf.store.schema import CertificateRow
from support.identity import Manufacturer
from support.record import NOW, PHONE, Record, public_key

B, C, D, E = (f"SEP00000000000{letter}" for letter in "BCDE")
YEAR = 366 * 86400
LSC_FIRST = "By Existing Certificate (precedence to LSC)"
RSA = KeySpec(ec=False, bits=2048)
STRING = "24681357"
BY_STRING = "By Authentication String"


@pytest.fixture(scope="module")
def earlier() -> Authority:
    """An earlier CAPF."""
    return Authority(*make_capf_certificate(os.urandom, NOW, "Earlier", "CAPF"), os.urandom)


def lsc(signer: Authority, name: str = PHONE) -> str:
    """Return an LSC in PEM."""
    signed = signer.sign(name, public_key(), [RSA], 5, NOW)
    return x509.load_der_x509_certificate(signed.der).public_bytes(Encoding.PEM).decode()


def bring(record: Record, *items: dict[str, Any], **given: Any) -> phone_import.Import:
    """Import phones."""
    reading = phone_import.read(record.context, list(map(phone_import.EarlierPhone.of, items)))
    return record.run(lambda c: phone_import.carry_out(Transaction(c, record.context, "test"), reading, **given))


def refused(record: Record, *items: dict[str, Any]) -> list[str]:
    """Return the problems of a strict import that must be refused, after checking that nothing was changed."""
    before = record.store.read(rows.count_phones), record.acts()
    with pytest.raises(InvalidRequestError) as error:
        bring(record, *items, strict=True)
    assert (record.store.read(rows.count_phones), record.acts()) == before
    return [str(problem) for problem in error.value.problems]


def active(record: Record, name: str = PHONE) -> CertificateRow:
    """Return a phone's active certificate."""
    return record.store.read(lambda c: certificate_rows.active(c, [name]))[name]


def test_r23_an_imported_lsc_keeps_its_real_issuer(record: Record, earlier: Authority) -> None:
    done = bring(record, {"device_name": PHONE, "certificate": lsc(earlier)})
    assert done.counts == phone_import.ImportCounts(created=1, certificates=1)
    row = active(record)
    assert (row.issuer_key_id, row.operation_id) == (key_id(earlier.certificate), 0)
    assert row.issuer_not_after == row.not_after
    assert len(done.warnings) == 1 and "is not trusted here" in done.warnings[0]
    assert record.plan().results[0].reason == "LSC of another issuer"
    record.install()
    assert sorted(record.certificates().values()) == ["active", "superseded"]


def test_r23_the_end_of_a_trusted_issuer_is_known(record: Record, earlier: Authority, signer: tuple[Any, Any]) -> None:
    record.context.authority = Authority(*signer, os.urandom, earlier=[earlier.certificate])
    done = bring(record, {"device_name": PHONE, "certificate": lsc(earlier)})
    assert done.warnings == []
    assert active(record).issuer_not_after == int(earlier.certificate.not_valid_after_utc.timestamp())


def test_r23_a_pending_operation_goes_on_with_its_string_encrypted(record: Record) -> None:
    item = {"operation": "Install/Upgrade", "authentication_mode": BY_STRING, "authentication_string": STRING}
    done = bring(record, {"device_name": PHONE, **item, "completes_by": "2001-01-01T00:00"}, {"device_name": B})
    assert done.counts.operations == 1 and STRING not in str(done)
    operation = record.operation()
    assert operation["completes_by"] > NOW and STRING.encode() not in operation["authentication_string"]
    record.install(password=STRING)
    assert record.operation()["status"] == "Upgrade Success"


def test_r23_what_this_server_knows_stays(record: Record, earlier: Authority) -> None:
    record.add(PHONE, description="Reception")
    record.plan()
    record.install()
    record.add(B)
    mine = active(record).serial_number
    item = {"device_name": PHONE, "description": "Lobby", "certificate": lsc(earlier), "operation": "Delete"}
    other = {"device_name": B, "certificate": lsc(earlier, B)}
    done = bring(record, item, other)
    assert done.counts == phone_import.ImportCounts(certificates=1, unchanged=1, conflicts=2)
    assert [(item["field"], item["here"]) for item in done.conflicts] == [
        ("description", "Reception"), ("lsc_serial_number", mine),
    ]  # fmt: skip
    assert active(record).serial_number == mine and active(record, B).issuer_key_id == earlier.key_id
    again = bring(record, item, other)
    assert not again.after and again.counts.unchanged == 2


def test_r23_an_lsc_that_was_renewed_since_is_no_conflict(record: Record, earlier: Authority) -> None:
    item = {"device_name": PHONE, "certificate": lsc(earlier)}
    bring(record, item)
    record.plan()
    record.install()
    again = bring(record, item)
    assert (again.after, again.conflicts) == ({}, [])
    assert active(record).issuer_key_id == record.context.authority.key_id


def test_r23_all_that_is_wrong_is_named_and_nothing_is_changed(record: Record, earlier: Authority) -> None:
    ours = record.context.authority
    forged = Authority(earlier._key, ours.certificate, os.urandom)
    said = refused(
        record,
        {"device_name": PHONE, "certificate": lsc(earlier, B)},
        {"device_name": "phone", "key_size": 17},
        {"device_name": B, "certificate": "junk", "completes_by": "soon"},
        {"device_name": C, "certificate": lsc(forged, C)},
        {"device_name": C, "certificate": lsc(earlier, C), "serial_number": "12"},
    )
    assert [text.partition(":")[0] for text in said] == [
        "phones[1].device_name", "phones[4].device_name", "phones[1].key_size", "phones[0].certificate",
        "phones[2].certificate", "phones[2].completes_by", "phones[3].certificate", "phones[4].serial_number",
    ]  # fmt: skip
    assert said[3].endswith(f"this is not a certificate of {PHONE}; give that phone's own")
    assert "the issuer that this certificate names has not signed it" in said[6]


ODD = (
    {"device_name": B},
    {"device_name": PHONE, "operation": "Delete"},
    {"device_name": C, "operation": "Install/Upgrade", "authentication_mode": BY_STRING,
     "authentication_string": "abcd"},
    {"device_name": D, "certificate": "junk", "completes_by": "soon", "operation": "Install/Upgrade"},
    {"device_name": E, "authentication_string": "123456789012345"},
)  # fmt: skip


def test_r23_p56_an_operation_that_cannot_go_on_stops_a_strict_import(record: Record) -> None:
    said = refused(record, *ODD)
    assert {text.partition(":")[0] for text in said} == {
        "phones[3].certificate", "phones[3].completes_by", "phones[4].authentication_string",
    }  # fmt: skip
    assert refused(record, *ODD[:3]) == [
        f"phones[1]: {PHONE} has no LSC to delete; leave the phone out",
        "phones[2].authentication_string: an authentication string has 4 to 10 digits",
    ]


def test_p56_an_import_takes_what_can_be_taken_and_names_the_rest(record: Record) -> None:
    done = bring(record, *ODD)
    assert done.counts == phone_import.ImportCounts(created=5, operations=1, not_taken=5)
    assert [(item["device_name"], item["field"]) for item in done.not_taken] == [
        (D, "certificate"), (D, "completes_by"), (E, "authentication_string"),
        (PHONE, "operation"), (C, "authentication_string"),
    ]  # fmt: skip
    assert done.not_taken[3]["message"] == f"{PHONE} has no LSC to delete; leave the phone out"
    pending = record.store.read(lambda c: rows.operations_of(c, [B, PHONE, C, D, E]))
    assert set(pending) == {D} and "abcd" not in str(done.not_taken)


def test_p56_a_pending_operation_that_could_only_fail_is_not_taken(record: Record, earlier: Authority) -> None:
    item = {"device_name": PHONE, "certificate": lsc(earlier), "authentication_mode": LSC_FIRST}
    done = bring(record, {**item, "operation": "Install/Upgrade"})
    (left_out,) = done.not_taken
    assert left_out["field"] == "authentication_mode" and "is not trusted" in left_out["message"]
    assert active(record).issuer_key_id == earlier.key_id


def test_p56_the_sessions_own_verifier_judges_each_certificate(
    record: Record, earlier: Authority, signer: tuple[Any, Any], tmp_path: Path
) -> None:
    record.context.authority = Authority(*signer, os.urandom, earlier=[earlier.certificate])
    old = Authority(earlier._key, earlier.certificate, os.urandom).sign(B, public_key(), [RSA], 1, NOW - 2 * YEAR)
    expired = x509.load_der_x509_certificate(old.der).public_bytes(Encoding.PEM).decode()
    mic = Manufacturer(tmp_path).sign(f"CP-8845-{C}").certificate.public_bytes(Encoding.PEM).decode()
    done = bring(
        record,
        {"device_name": PHONE, "certificate": lsc(earlier)},
        {"device_name": B, "certificate": expired},
        {"device_name": C, "certificate": mic},
    )
    assert done.counts == phone_import.ImportCounts(created=3, certificates=2)
    (warning,) = done.warnings
    assert warning.startswith(f"2 certificates that no session accepts; the first, of {B}: the LSC expired on ")


def test_r23_a_serial_number_is_one_certificates_alone(record: Record, earlier: Authority, signer: Any) -> None:
    first = x509.load_pem_x509_certificate(lsc(earlier).encode())
    numbers = iter([first.serial_number.to_bytes(16, "big")] * 2)
    key, certificate = signer
    double = Authority(key, certificate, lambda _size: next(numbers))
    twin, third = lsc(double, B), lsc(double, C)
    said = refused(record, {"device_name": B, "certificate": twin}, {"device_name": C, "certificate": third})
    number = f"{first.serial_number:032x}"
    assert said == [
        f"phones[1].serial_number: {number} is also the serial number of phones[0]; give each certificate once"
    ]
    bring(record, {"device_name": PHONE, "certificate": first.public_bytes(Encoding.PEM).decode()})
    said = refused(record, {"device_name": B, "certificate": twin})
    assert said[0].endswith(
        f"{number} is the serial number of another certificate, of {PHONE}; check both certificates"
    )


def test_r23_a_serial_number_may_have_20_bytes(record: Record) -> None:
    """RFC 5280 allows serial numbers of this length."""
    number = int.from_bytes(b"\x7f" * 20)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PHONE)])
    start = datetime.fromtimestamp(NOW, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other CA")]))
        .public_key(rsa.generate_private_key(65537, 2048).public_key())
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=900))
        .sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    )
    bring(record, {"device_name": PHONE, "certificate": made.public_bytes(Encoding.PEM).decode()})
    assert active(record).serial_number == f"{number:x}"


def test_r23_each_import_has_its_audit_rows(record: Record, earlier: Authority) -> None:
    bring(record, {"device_name": PHONE, "certificate": lsc(earlier), "operation": Operation.DELETE})
    assert record.acts() == ["add phone", "import LSC", "schedule operation"]
    query = select(schema.audit.c.actor).distinct()
    assert record.store.read(lambda c: c.execute(query).scalars().all()) == ["test"]


def test_p57_an_import_that_deletes_lscs_needs_their_number(record: Record, earlier: Authority) -> None:
    given = [{"device_name": name, "operation": "Delete", "certificate": lsc(earlier, name)} for name in (B, C, D)]
    with pytest.raises(InvalidRequestError, match="delete the LSCs of 3 of the 3 registered phones; set confirm to 3"):
        bring(record, *given)
    assert (record.store.read(rows.count_phones), record.acts()) == (0, [])
    assert bring(record, *given, confirm=3).counts.operations == 3
