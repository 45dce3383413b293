# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication by certificate: accepted from the lab's phones, refused for every fault (R1)."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from capf.certificates.authority import Authority, make_capf_certificate
from capf.model import AuthenticationMode, KeySpec, Outcome
from capf.phone_session.effects import Claim
from capf.phone_session.verify import Trust, names_device, signature_is_right
from capf.phone_session.wire import Tag, unpack_certificates, unpack_sha2
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST, auth_response
from capf_lab.flash import Flash, Identity
from capf_lab.keys import KeyMaker
from capf_lab.manufacturing import Maker
from support.identity import certificate_named
from support.verdicts import certificate_fault

NAME = "SEP001122334455"
OTHER = "SEP001122334466"
SESSION = 0x01020304
EC_KEY = ec.generate_private_key(ec.SECP256R1())
LSC_FIRST, MIC_FIRST = AuthenticationMode.LSC_FIRST, AuthenticationMode.MIC_FIRST


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trust, Flash, float]:
    """A phone with LSC and MIC, the trusted issuers, and the time."""
    directory = tmp_path_factory.mktemp("phone")
    maker = Maker.open_or_make(directory / "ca", "Test Manufacturing CA")
    flash = Flash(directory / "flash")
    flash.make_mic(maker.make_mic(NAME, "8845", KeyMaker()))
    now = maker.certificate.not_valid_before_utc.timestamp() + 2 * 86400
    authority = Authority(*make_capf_certificate(os.urandom, now, "ucm.capf", "CAPF"), os.urandom)
    _install(flash, authority, NAME, now, KeySpec(ec=False, bits=2048))
    return Trust(authority.lsc_issuers, [maker.certificate]), flash, now


def _install(flash: Flash, authority: Authority, name: str, now: float, spec: KeySpec) -> None:
    key = KeyMaker().make(spec)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signed = authority.sign(name, public, [spec], 5, now)
    flash.store_lsc(Identity(x509.load_der_x509_certificate(signed.der), key))


def claim_of(flash: Flash, mode: int, name: str = NAME) -> Claim:
    """Return the claim in a phone's AUTH_RESPONSE."""
    message = auth_response(name, SESSION, flash, mode, "", 3)
    get = message.elements.get
    return Claim(
        name, 3, SESSION, "192.0.2.1", "", unpack_certificates(get(Tag.CERTIFICATE, b"")),
        get(Tag.SIGNED_DATA), unpack_sha2(get(Tag.SHA2_SIGNED_DATA, b"")), get(Tag.SUDI_DATA),
    )  # fmt: skip


@pytest.mark.parametrize(("wire", "mode"), [(MODE_LSC_FIRST, LSC_FIRST), (MODE_MIC_FIRST, MIC_FIRST)])
def test_r1_a_phone_authenticates_by_its_certificate(
    world: tuple[Trust, Flash, float], wire: int, mode: AuthenticationMode
) -> None:
    trust, flash, now = world
    assert certificate_fault(claim_of(flash, wire), mode, True, trust, now) is None


def test_r1_an_ec_lsc_authenticates_too(world: tuple[Trust, Flash, float], tmp_path: Path) -> None:
    trust, _flash, now = world
    authority = Authority(*make_capf_certificate(os.urandom, now, "ucm.capf", "CAPF"), os.urandom)
    flash = Flash(tmp_path / "ec")
    _install(flash, authority, NAME, now, KeySpec(ec=True, bits=384))
    mine = dataclasses.replace(trust, lsc_issuers=authority.lsc_issuers)
    assert certificate_fault(claim_of(flash, MODE_LSC_FIRST), LSC_FIRST, True, mine, now) is None


def test_r1_precedence_to_lsc_wants_the_lsc_where_there_is_one(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    claim = claim_of(flash, MODE_MIC_FIRST)
    assert certificate_fault(claim, LSC_FIRST, True, trust, now) is Outcome.INVALID_LSC
    assert certificate_fault(claim, LSC_FIRST, False, trust, now) is None


def test_r1_precedence_to_mic_wants_the_mic_where_there_is_one(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    claim = claim_of(flash, MODE_LSC_FIRST)
    assert certificate_fault(claim, MIC_FIRST, True, trust, now) is Outcome.INVALID_MIC
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is None


def test_r9_without_certificate_the_operation_fails(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    claim = dataclasses.replace(claim_of(flash, MODE_LSC_FIRST), certificates=())
    assert certificate_fault(claim, LSC_FIRST, False, trust, now) is Outcome.INVALID_LSC
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is Outcome.INVALID_MIC


hexadecimal = st.text("0123456789ABCDEF", min_size=12, max_size=12)
names = st.one_of(hexadecimal.map("SEP{}".format), hexadecimal.map("ATA{}".format), st.just("CSFjdoe"))
forms = st.one_of(
    st.just("{}"), st.just("CP-8845-{}"), st.just("{}-CP-8845"), st.just("x{}"), st.just("{} "), st.just("-{}x")
)


@given(names, names, forms, st.booleans())
def test_p9_a_certificate_names_one_device_only(owner: str, claimed: str, form: str, is_lsc: bool) -> None:
    certificate = certificate_named(form.format(owner))
    allowed = form == "{}" or (form == "CP-8845-{}" and not is_lsc and owner != "CSFjdoe")
    assert names_device(certificate, claimed, is_lsc) == (allowed and owner == claimed)


@pytest.mark.parametrize("wire", [MODE_LSC_FIRST, MODE_MIC_FIRST])
def test_p9_a_certificate_of_one_phone_never_authorises_another(world: tuple[Trust, Flash, float], wire: int) -> None:
    trust, flash, now = world
    claim = claim_of(flash, wire, OTHER)
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is Outcome.INVALID_CREDENTIALS


def _given(data: bytes | None) -> bytes:
    assert data is not None
    return data


def _sha1(claim: Claim) -> bytes:
    return _given(claim.signed_data)


def _sha2(claim: Claim) -> bytes:
    assert claim.sha2_signed_data is not None
    return claim.sha2_signed_data[1]


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


DAMAGE: dict[str, Callable[[Claim], Claim]] = {
    "no SHA-1 signature": lambda c: dataclasses.replace(c, signed_data=None),
    "no SHA-2 signature": lambda c: dataclasses.replace(c, sha2_signed_data=None),
    "a wrong SHA-1 signature": lambda c: dataclasses.replace(c, signed_data=_flipped(_sha1(c))),
    "a wrong SHA-512 signature": lambda c: dataclasses.replace(c, sha2_signed_data=(3, _flipped(_sha2(c)))),
    "SHA-1 in place of SHA-2": lambda c: dataclasses.replace(c, sha2_signed_data=(1, _sha1(c))),
    "a short signature": lambda c: dataclasses.replace(c, signed_data=_sha1(c)[:-1]),
    "a long signature": lambda c: dataclasses.replace(c, signed_data=_sha1(c) + b"\0"),
    "an unknown digest": lambda c: dataclasses.replace(c, sha2_signed_data=(9, _sha2(c))),
    "another session": lambda c: dataclasses.replace(c, session_id=SESSION + 1),
    "damaged SUDI data": lambda c: dataclasses.replace(c, sudi_data=_given(c.sudi_data)[:-1]),
    "bytes that are no certificate": lambda c: dataclasses.replace(c, certificates=((2, b"junk"),)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_p10_each_signature_of_a_proof_is_checked(world: tuple[Trust, Flash, float], damage: str) -> None:
    trust, flash, now = world
    claim = DAMAGE[damage](claim_of(flash, MODE_MIC_FIRST))
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is Outcome.INVALID_MIC


def test_a_mic_of_a_stranger_is_refused(world: tuple[Trust, Flash, float], tmp_path: Path) -> None:
    trust, _flash, now = world
    flash = Flash(tmp_path / "flash")
    flash.make_mic(Maker.open_or_make(tmp_path, "Stranger").make_mic(NAME, "8845", KeyMaker()))
    claim = claim_of(flash, MODE_MIC_FIRST)
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is Outcome.INVALID_MIC


def test_an_expired_mic_needs_an_explicit_setting(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    late = now + 11 * 366 * 86400
    claim = claim_of(flash, MODE_MIC_FIRST)
    assert certificate_fault(claim, MIC_FIRST, False, trust, late) is Outcome.INVALID_MIC
    allowed = dataclasses.replace(trust, allow_expired_mic=True)
    assert certificate_fault(claim, MIC_FIRST, False, allowed, late) is None


def test_p11_sudi_data_is_required_by_setting(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    claim = dataclasses.replace(claim_of(flash, MODE_MIC_FIRST), sudi_data=None)
    assert certificate_fault(claim, MIC_FIRST, False, trust, now) is None
    strict = dataclasses.replace(trust, require_sudi=True)
    assert certificate_fault(claim, MIC_FIRST, False, strict, now) is Outcome.INVALID_MIC
    assert certificate_fault(claim_of(flash, MODE_MIC_FIRST), MIC_FIRST, False, strict, now) is None


def test_p10_a_signature_forged_by_a_cube_root_is_refused() -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    key = rsa.RSAPublicNumbers(3, numbers.public_numbers.n).public_key()
    hashed = hashlib.sha512(b"data").digest()
    prefix = b"\x00\x01" + b"\xff" * 8 + b"\x00" + hashed
    target = int.from_bytes(prefix + b"\xff" * (256 - len(prefix)), "big")
    root = _cube_root(target)
    assert (root**3).to_bytes(256, "big").startswith(prefix)
    assert not signature_is_right(key, b"data", 3, root.to_bytes(256, "big"))


def _cube_root(number: int) -> int:
    low, high = 0, 1 << 800
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def test_an_expired_lsc_is_refused(world: tuple[Trust, Flash, float]) -> None:
    trust, flash, now = world
    claim = dataclasses.replace(claim_of(flash, MODE_LSC_FIRST), sudi_data=None)
    assert certificate_fault(claim, LSC_FIRST, True, trust, now + 6 * 366 * 86400) is Outcome.INVALID_LSC
