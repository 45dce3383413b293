# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invalid proofs by certificate, each a named case, and no certificate for two phones (P9, P10, P11)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capf.model import AuthenticationMode, KeySpec, Outcome
from capf.phone_session.effects import Claim
from capf.phone_session.verify import Trust, names_device, raw_block, signature_is_right
from capf.phone_session.wire import DigestType
from capf_lab.credentials import sign
from capf_lab.flash import Identity
from capf_lab.keys import KeyMaker
from capf_lab.manufacturing import Maker
from support.identity import Manufacturer, common_name, new_ec_key
from support.verdicts import certificate_fault

NAME, OTHER = "SEP001122334455", "SEP001122334466"
UNMEASURED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SESSION = 0x01020304
EC_KEY = ec.generate_private_key(ec.SECP256R1())
LSC_FIRST, MIC_FIRST = AuthenticationMode.LSC_FIRST, AuthenticationMode.MIC_FIRST
hexadecimal = st.text("0123456789ABCDEF", min_size=12, max_size=12)
names = st.one_of(hexadecimal.map("SEP{}".format), hexadecimal.map("ATA{}".format), st.just("CSFjdoe"))


def _named(name: str) -> x509.Certificate:
    subject = common_name(name)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(EC_KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(EC_KEY, hashes.SHA256())


# Every fault of a proof as a separate case (P10): the claim, and the trusted issuers.
RAW_RSA = rsa.generate_private_key(65537, 2048)


def raw_signature(block: bytes, key: rsa.RSAPrivateKey = RAW_RSA) -> bytes:
    """Return the claim of a phone that pads its digest differently."""
    numbers = key.private_numbers()
    return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")


DIGEST = hashlib.sha1(b"data", usedforsecurity=False).digest()
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
BLOCKS = {
    "padding that is too short": b"\x00\x01" + b"\xff" * 8 + b"\x00" + DIGEST + b"\0" * (256 - 11 - 20),
    "bytes behind the digest": b"\x00\x01" + b"\xff" * (256 - 27) + b"\x00" + DIGEST + b"more",
    "a zero in the padding": b"\x00\x01" + b"\xff" * 100 + b"\x00" + b"\xff" * (256 - 124) + b"\x00" + DIGEST,
    "type 2 padding": b"\x00\x02" + b"\xaa" * (256 - 23) + b"\x00" + DIGEST,
    "type 0 padding": b"\x00\x00" + b"\x00" * (256 - 23) + b"\x00" + DIGEST,
    "a DigestInfo": b"\x00\x01" + b"\xff" * (256 - 38) + b"\x00" + SHA1_INFO + DIGEST,
    "the digest alone": b"\x00" * (256 - 20) + DIGEST,
    "no end of the padding": b"\x00\x01" + b"\xff" * (256 - 22) + DIGEST,
    "another digest": b"\x00\x01" + b"\xff" * (256 - 23) + b"\x00" + DIGEST[::-1],
}


@pytest.mark.parametrize("case", BLOCKS)
def test_p10_wrong_padding_is_refused(case: str) -> None:
    assert len(BLOCKS[case]) == 256
    assert not signature_is_right(RAW_RSA.public_key(), b"data", 1, raw_signature(BLOCKS[case]))


def test_p10_the_right_padding_is_accepted() -> None:
    assert signature_is_right(RAW_RSA.public_key(), b"data", 1, raw_signature(raw_block(DIGEST, 256)))


def test_p10_a_signature_that_is_not_below_the_modulus_is_refused() -> None:
    right = raw_signature(raw_block(DIGEST, 256))
    lifted = int.from_bytes(right, "big") + RAW_RSA.public_key().public_numbers().n
    if lifted < 1 << 2048:
        assert not signature_is_right(RAW_RSA.public_key(), b"data", 1, lifted.to_bytes(256, "big"))
    assert not signature_is_right(RAW_RSA.public_key(), b"data", 1, lifted.to_bytes(257, "big"))


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + b"\0", lambda s: b"\0" + s, lambda s: b""])
@pytest.mark.parametrize("key", [RAW_RSA, EC_KEY], ids=["RSA", "EC"])
def test_p10_a_short_or_long_signature_is_refused(key: Any, change: Callable[[bytes], bytes]) -> None:
    identity = Identity(_named(NAME), key)
    right = sign(identity, b"data", DigestType.SHA512)
    assert signature_is_right(key.public_key(), b"data", 3, right)
    assert not signature_is_right(key.public_key(), b"data", 3, change(right))


@dataclasses.dataclass
class Shop:
    """A manufacturer that the server trusts, and the CAPF."""

    manufacturer: Manufacturer
    capf: Maker

    @property
    def trust(self) -> Trust:
        """The trusted issuers."""
        return Trust([self.capf.certificate], [self.manufacturer.maker.certificate])

    def fault(self, identity: Identity, mode: AuthenticationMode, name: str = NAME, **trust: Any) -> Outcome | None:
        """Send a claim with a certificate and valid signatures; return the problem."""
        data = name.encode() + b"\0" + identity.der
        claim = Claim(
            name, 3, SESSION, "192.0.2.1", "", ((1 if mode is LSC_FIRST else 2, identity.der),),
            sign(identity, data, DigestType.SHA1), (3, sign(identity, data, DigestType.SHA512)),
        )  # fmt: skip
        return certificate_fault(claim, mode, mode is LSC_FIRST, dataclasses.replace(self.trust, **trust), time.time())

    def lsc(self, subject: str | x509.Name = NAME, **given: Any) -> Identity:
        """Return an LSC issued by the CAPF."""
        signer = Manufacturer(self.manufacturer.directory, "CAPF")
        return signer.sign(subject, **given)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Manufacturer and CAPF."""
    directory = tmp_path_factory.mktemp("shop")
    return Shop(Manufacturer(directory), Manufacturer(directory, "CAPF").maker)


def test_p10_certificates_that_are_right_are_accepted(shop: Shop) -> None:
    assert shop.fault(shop.lsc(), LSC_FIRST) is None
    assert shop.fault(shop.manufacturer.sign(f"CP-8845-{NAME}"), MIC_FIRST) is None


@pytest.mark.parametrize(("days", "what"), [((-9, -1), "expired"), ((1, 9), "not yet valid")])
def test_p10_a_certificate_out_of_its_time_is_refused(shop: Shop, days: tuple[int, int], what: str) -> None:
    assert shop.fault(shop.lsc(days=days), LSC_FIRST) is Outcome.INVALID_LSC, what
    assert shop.fault(shop.manufacturer.sign(f"CP-8845-{NAME}", days=days), MIC_FIRST) is Outcome.INVALID_MIC, what


def test_p10_a_certificate_of_another_issuer_is_refused(shop: Shop) -> None:
    foreign = Manufacturer(shop.manufacturer.directory, "Foreign")
    assert shop.fault(foreign.sign(NAME), LSC_FIRST) is Outcome.INVALID_LSC
    assert shop.fault(foreign.sign(f"CP-8845-{NAME}"), MIC_FIRST) is Outcome.INVALID_MIC


@pytest.mark.parametrize("make", [new_ec_key, lambda: KeyMaker().make(KeySpec(ec=False, bits=2048))])
def test_p10_an_issuer_by_name_alone_is_refused(shop: Shop, make: Callable[[], Any]) -> None:
    assert shop.fault(shop.lsc(issuer=make()), LSC_FIRST) is Outcome.INVALID_LSC
    assert shop.fault(shop.manufacturer.sign(f"CP-8845-{NAME}", issuer=make()), MIC_FIRST) is Outcome.INVALID_MIC


@pytest.mark.parametrize("make", [ed25519.Ed25519PrivateKey.generate, lambda: dsa.generate_private_key(2048)])
def test_p10_an_issuer_with_an_unsupported_key_is_refused(shop: Shop, make: Callable[[], Any]) -> None:
    key, name = make(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Strange CA")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder().issuer_name(name).serial_number(5).not_valid_before(start)
    builder = builder.not_valid_after(start + timedelta(days=9))
    issuer = builder.subject_name(name).public_key(key.public_key()).sign(key, algorithm)
    phone_key = new_ec_key()
    mic = builder.subject_name(common_name(f"CP-8845-{NAME}")).public_key(phone_key.public_key()).sign(key, algorithm)
    assert shop.fault(Identity(mic, phone_key), MIC_FIRST) is Outcome.INVALID_MIC
    trusted = shop.fault(Identity(mic, phone_key), MIC_FIRST, mic_issuers=[issuer])
    assert trusted in (None, Outcome.INVALID_MIC)


def test_p10_a_phone_with_an_unsupported_key_is_refused(shop: Shop) -> None:
    strange = ed25519.Ed25519PrivateKey.generate()
    der = shop.manufacturer.sign(f"CP-8845-{NAME}", key=strange).der
    claim = Claim(NAME, 3, SESSION, "192.0.2.1", "", ((2, der),), b"x" * 64, (3, strange.sign(b"x")))
    assert certificate_fault(claim, MIC_FIRST, False, shop.trust, time.time()) is Outcome.INVALID_MIC


@given(st.data())
@settings(suppress_health_check=UNMEASURED, max_examples=400)
def test_p10_a_damaged_certificate_is_refused_and_nothing_else_happens(shop: Shop, data: st.DataObject) -> None:
    good = _good(shop)
    position = data.draw(st.integers(0, len(good) - 1))
    der = bytearray(good)
    der[position] ^= data.draw(st.integers(1, 255))
    cut = bytes(der[: data.draw(st.one_of(st.just(len(der)), st.integers(0, len(der))))])
    claim = Claim(NAME, 3, SESSION, "192.0.2.1", "", ((2, cut),), b"x", (3, b"y"), cut)
    assert certificate_fault(claim, MIC_FIRST, False, shop.trust, time.time()) in (
        Outcome.INVALID_MIC, Outcome.INVALID_CREDENTIALS
    )  # fmt: skip


@functools.cache
def _good_der(directory: Path) -> bytes:
    return Manufacturer(directory).sign(f"CP-8845-{NAME}").der


def _good(shop: Shop) -> bytes:
    return _good_der(shop.manufacturer.directory)


def test_p10_a_certificate_of_an_unknown_version_is_refused(shop: Shop) -> None:
    der = _good(shop)
    position = der.index(bytes.fromhex("a003020102")) if bytes.fromhex("a003020102") in der else None
    assert position is not None
    strange = der[: position + 4] + b"\x07" + der[position + 5 :]
    claim = Claim(NAME, 3, SESSION, "192.0.2.1", "", ((2, strange),), b"x", (3, b"y"))
    assert certificate_fault(claim, MIC_FIRST, False, shop.trust, time.time()) is Outcome.INVALID_MIC


softphones = st.from_regex(r"(?:CSF|TCT|BOT|TAB)[A-Za-z0-9._-]{1,30}", fullmatch=True)
ending = st.tuples(st.sampled_from(["CSF", "TCT", "BOT", "TAB"]), hexadecimal).map("{0[0]}x-SEP{0[1]}".format)
owners = st.one_of(names, softphones, ending)
common_names = st.sampled_from(["{}", "CP-8845-{}", "CP-{}", "{}\0", "{}.", " {}", "cp-7941G-{}", "CP-8845-{}-x"])


@given(owners, owners, common_names, st.booleans())
def test_p9_no_name_and_no_form_of_it_authorises_two_phones(a: str, b: str, form: str, is_lsc: bool) -> None:
    phones = {a, b, a[-15:], b[-15:], a.lower(), a.upper()}
    try:
        certificate = _named(form.format(a))
    except ValueError:
        return
    authorised = {name for name in phones if names_device(certificate, name, is_lsc)}
    assert len(authorised) <= 1 and authorised <= {a}


@given(owners, owners, st.sampled_from(["{}", "CP-8845-{}"]))
@settings(suppress_health_check=UNMEASURED, max_examples=60)
def test_p9_a_right_proof_of_one_phone_never_authorises_another(shop: Shop, a: str, b: str, form: str) -> None:
    if a == b or len(form.format(a)) > 64:
        return
    for identity, mode in ((shop.lsc(a), LSC_FIRST), (shop.manufacturer.sign(form.format(a)), MIC_FIRST)):
        assert shop.fault(identity, mode, b) is Outcome.INVALID_CREDENTIALS


def test_p9_a_certificate_with_two_common_names_names_nobody(shop: Shop) -> None:
    both = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in (NAME, OTHER)])
    for name in (NAME, OTHER):
        assert shop.fault(shop.lsc(both), LSC_FIRST, name) is Outcome.INVALID_CREDENTIALS


def test_p11_a_mic_signed_with_sha1_needs_an_explicit_setting(shop: Shop) -> None:
    mic = shop.manufacturer.sha1_mic(NAME)
    assert shop.fault(mic, MIC_FIRST) is Outcome.INVALID_MIC
    assert shop.fault(mic, MIC_FIRST, allow_sha1_mic=True) is None
