# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate, LSCs and the lint, compared with openssl (R3, R4)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capf.certificates.authority import Authority, common_name, file_names, make_capf_certificate
from capf.model import KeySpec, LintError
from capf_lab.keys import CURVES
from support.record import NOW

pytestmark = pytest.mark.tools

NAME = "SEP001122334455"
RSA_2048 = KeySpec(ec=False, bits=2048)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A signer."""
    return Authority(*make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF"), os.urandom)


def openssl(*arguments: str, text: str = "") -> str:
    """Run openssl; return its output."""
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout


def der_of(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key in the form that phones send."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_key(spec: KeySpec) -> bytes:
    """Return a new public key."""
    if spec.ec:
        return der_of(ec.generate_private_key(CURVES[spec.bits]()).public_key())
    return der_of(rsa.generate_private_key(65537, spec.bits).public_key())


def test_r3_the_capf_certificate_is_as_phones_want_it(authority: Authority) -> None:
    pem = authority.certificate.public_bytes(Encoding.PEM).decode()
    text = openssl("x509", "-noout", "-text", text=pem)
    assert "CA:TRUE, pathlen:0" in text
    assert "Digital Signature, Certificate Sign" in text
    name = common_name(authority.certificate)
    assert name.startswith("CAPF-") and len(name) == 13 and int(name[5:], 16) >= 0


def test_r3_it_is_published_under_its_name_and_its_subject_hash(authority: Authority) -> None:
    pem = authority.certificate.public_bytes(Encoding.PEM).decode()
    subject_hash = openssl("x509", "-noout", "-subject_hash", text=pem).strip()
    assert file_names(authority.certificate) == (f"{common_name(authority.certificate)}.0", f"{subject_hash}.0")


@pytest.mark.parametrize(
    "spec",
    [KeySpec(ec=False, bits=bits) for bits in (1024, 2048, 3072, 4096)] + [KeySpec(ec=True, bits=b) for b in CURVES],
    ids=str,
)
def test_r4_every_key_type_gets_an_lsc_that_openssl_verifies(
    authority: Authority, spec: KeySpec, tmp_path: Path
) -> None:
    public = new_key(spec)
    signed = authority.sign(NAME, public, [spec], 5, NOW)
    certificate = x509.load_der_x509_certificate(signed.der)
    (tmp_path / "capf.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "lsc.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    at = ("-attime", str(int(NOW)))
    assert "OK" in openssl("verify", *at, "-CAfile", str(tmp_path / "capf.pem"), str(tmp_path / "lsc.pem"))
    text = openssl("x509", "-noout", "-text", "-in", str(tmp_path / "lsc.pem"))
    assert "CA:FALSE" in text
    assert ("Key Encipherment" in text) != spec.ec
    assert "TLS Web Server Authentication, TLS Web Client Authentication, IPSec End System" in text
    assert common_name(certificate) == NAME
    assert certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public


def test_an_lsc_never_outlives_its_issuer(authority: Authority) -> None:
    end = authority.certificate.not_valid_after_utc
    late = end.timestamp() - 86400
    signed = authority.sign(NAME, new_key(RSA_2048), [RSA_2048], 5, late)
    assert signed.not_after == int(end.timestamp())
    with pytest.raises(LintError, match="expired"):
        authority.sign(NAME, new_key(RSA_2048), [RSA_2048], 5, end.timestamp())


def test_serial_numbers_have_128_bits_and_differ(authority: Authority) -> None:
    public = new_key(RSA_2048)
    serials = {authority.sign(NAME, public, [RSA_2048], 5, NOW).serial_number for _index in range(50)}
    assert len(serials) == 50
    assert {len(serial) for serial in serials} == {32}


def test_a_key_of_another_size_is_refused(authority: Authority) -> None:
    with pytest.raises(LintError, match="the key is RSA 1024; RSA 2048 is scheduled"):
        authority.sign(NAME, new_key(KeySpec(ec=False, bits=1024)), [RSA_2048], 5, NOW)


def test_weak_rsa_keys_are_refused(authority: Authority) -> None:
    good = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    for numbers in (rsa.RSAPublicNumbers(3, good.n), rsa.RSAPublicNumbers(65537, (2**2047 // 15) * 15 * 1 + 15)):
        with pytest.raises(LintError):
            authority.sign(NAME, der_of(numbers.public_key()), [RSA_2048], 5, NOW)
