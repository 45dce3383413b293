# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lint refuses every fault of a certificate, one test each; a refused certificate is not signed (P7, R2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from capf.certificates.authority import Authority, key_id, make_capf_certificate
from capf.certificates.lint import Lint
from capf.certificates.lsc import PURPOSES, subject_parts, usage
from capf.model import KeySpec, LintError
from support.record import NOW

NAME = "SEP001122334455"
MOMENT = datetime.fromtimestamp(NOW, UTC)
CAPF_KEY, CAPF = make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")
KEY = rsa.generate_private_key(65537, 2048).public_key()
LINT = Lint(CAPF, bytes.fromhex(key_id(CAPF)))
OTHER = rsa.generate_private_key(65537, 2048).public_key()
Fields = dict[str, Any]


def right() -> Fields:
    """Return the fields of a valid LSC."""
    return {
        "subject": x509.Name([*subject_parts(CAPF.subject), x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)]),
        "issuer": CAPF.subject,
        "key": KEY,
        "serial": 1 << 127 | 5,
        "start": MOMENT - timedelta(hours=1),
        "end": MOMENT + timedelta(days=365),
        "digest": hashes.SHA256(),
        "extensions": {
            "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
            "usage": (usage(encipher=True), True),
            "purposes": (x509.ExtendedKeyUsage(PURPOSES), False),
            "own": (x509.SubjectKeyIdentifier.from_public_key(KEY), False),
            "above": (x509.AuthorityKeyIdentifier.from_issuer_public_key(CAPF_KEY.public_key()), False),
        },
    }


def built(fields: Fields) -> bytes:
    """Return the certificate, built by the library instead of the server."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(fields["subject"])
        .issuer_name(fields["issuer"])
        .public_key(fields["key"])
        .serial_number(fields["serial"])
        .not_valid_before(fields["start"])
        .not_valid_after(fields["end"])
    )
    for value, critical in fields["extensions"].values():
        builder = builder.add_extension(value, critical)
    return builder.sign(CAPF_KEY, fields["digest"]).public_bytes(Encoding.DER)


def name(text: str) -> x509.Name:
    """Return a name with only a common name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def extension(which: str, value: x509.ExtensionType, critical: bool) -> Callable[[Fields], None]:
    """Return the fault of a wrong extension."""
    return lambda fields: fields["extensions"].update({which: (value, critical)})


def field(which: str, value: object) -> Callable[[Fields], None]:
    """Return the fault of a wrong field."""
    return lambda fields: fields.update({which: value})


EXTENSIONS = "the extensions are not those of the profile"
FAULTS = {
    "another device": (field("subject", name("SEP00000000000A")), "the subject is not the device"),
    "a bare name": (field("subject", name(NAME)), "the subject is not the device"),
    "another issuer": (field("issuer", name("CAPF-00000000")), "the issuer is not CAPF"),
    "another key": (field("key", OTHER), "the key is not the phone's"),
    "a short serial number": (field("serial", 1 << 40), "the serial number is too short"),
    "a future time": (field("start", MOMENT + timedelta(days=1)), "it is not valid now"),
    "a time gone by": (field("end", MOMENT - timedelta(minutes=1)), "it is not valid now"),
    "outliving": (field("end", CAPF.not_valid_after_utc + timedelta(days=1)), "it outlives its issuer"),
    "another digest": (field("digest", hashes.SHA512()), "the signature is not RSA with SHA-256"),
    "a CA": (extension("basic", x509.BasicConstraints(ca=True, path_length=None), True), EXTENSIONS),
    "uncritical constraints": (
        extension("basic", x509.BasicConstraints(ca=False, path_length=None), False), EXTENSIONS,
    ),
    "signing certificates": (extension("usage", usage(sign=True, encipher=True), True), EXTENSIONS),
    "the usage of EC": (extension("usage", usage(), True), EXTENSIONS),
    "fewer purposes": (extension("purposes", x509.ExtendedKeyUsage(PURPOSES[:1]), False), EXTENSIONS),
    "another key's identifier": (extension("own", x509.SubjectKeyIdentifier.from_public_key(OTHER), False), EXTENSIONS),
    "another issuer's identifier": (
        extension("above", x509.AuthorityKeyIdentifier.from_issuer_public_key(OTHER), False), EXTENSIONS,
    ),
    "one extension more": (
        extension("names", x509.SubjectAlternativeName([x509.DNSName("a")]), False), EXTENSIONS,
    ),
    "one extension less": (lambda fields: fields["extensions"].pop("own"), EXTENSIONS),
}  # fmt: skip


def test_p7_a_right_certificate_passes_whoever_built_it() -> None:
    LINT.check(built(right()), NAME, KEY, MOMENT)


@pytest.mark.parametrize("fault", FAULTS)
def test_p7_each_fault_is_refused_by_name(fault: str) -> None:
    spoil, message = FAULTS[fault]
    fields = right()
    spoil(fields)
    with pytest.raises(LintError, match=message):
        LINT.check(built(fields), NAME, KEY, MOMENT)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_p7_what_cannot_be_read_is_refused(cut: int) -> None:
    with pytest.raises(LintError, match="cannot be read"):
        LINT.check(built(right())[:-cut], NAME, KEY, MOMENT)


@pytest.mark.parametrize("is_ec", [False, True])
@pytest.mark.parametrize("years", [1, 20])
def test_r2_the_servers_own_der_is_what_the_library_makes(is_ec: bool, years: int) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key() if is_ec else KEY
    public = key.public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = Authority(CAPF_KEY, CAPF, os.urandom).sign(NAME, public, [KeySpec(is_ec, key.key_size)], years, NOW)
    ours = x509.load_der_x509_certificate(signed.der)
    fields = right() | {"key": key, "serial": int(signed.serial_number, 16)}
    fields |= {"start": ours.not_valid_before_utc, "end": ours.not_valid_after_utc}
    fields["extensions"]["usage"] = (usage(encipher=not is_ec), True)
    fields["extensions"]["own"] = (x509.SubjectKeyIdentifier.from_public_key(key), False)
    assert built(fields) == signed.der
