# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verifies a phone's identity: authentication string, certificate and signed data, SUDI data (docs/protocol.md, R1).

Pure functions of certificates and times that return a Verdict with the problem, if there is one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from capf.model import AuthenticationMode, Outcome
from capf.phone_session.effects import Claim
from capf.phone_session.wire import CertificateType, DigestType, Sudi, WireError, unpack_sudi

_DIGESTS: Mapping[int, tuple[str, hashes.HashAlgorithm]] = {
    DigestType.SHA1: ("sha1", hashes.SHA1()),  # noqa: S303 - the phones' protocol has it; checked beside SHA-512
    DigestType.SHA256: ("sha256", hashes.SHA256()),
    DigestType.SHA512: ("sha512", hashes.SHA512()),
}
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""The errors that the library raises for damaged or unusual certificates."""
_MIC_NAME = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*-((?:SEP|ATA)[0-9A-F]{12})", re.IGNORECASE | re.ASCII)
NOT_TRUSTED = "is not trusted"
MIC_WITH_SHA1 = "the MIC is signed with SHA-1, and SHA-1 MICs are not allowed"
EXPIRED = "expired on"
"""What the problems of certificates say; the advice on a phone depends on it (``registry.rollout.advice``)."""
_LONGEST = 120
"""The maximum number of characters to show from a stranger's certificate."""
_SOFTPHONE = re.compile(r"(?:.*-)?(?:CSF|TCT|BOT|TAB)")


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted issuers of LSCs and MICs, and the exceptions for old MICs."""

    lsc_issuers: Sequence[x509.Certificate]
    mic_issuers: Sequence[x509.Certificate]
    allow_expired_mic: bool = False
    allow_sha1_mic: bool = False
    require_sudi: bool = False


def same_string(given: str | None, wanted: str) -> bool:
    """Compare two authentication strings in constant time; an absent one counts as empty."""
    return hmac.compare_digest((given or "").encode(), wanted.encode())


def raw_block(digest: bytes, size: int) -> bytes:
    """Return PKCS#1 type 1 padding around the bare digest, ``size`` bytes in all (no DigestInfo)."""
    return b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest


def signature_is_right(key: object, data: bytes, digest: int, signature: bytes) -> bool:
    """Check a phone's signature over ``data``: raw RSA with its full padding, or ECDSA."""
    if digest not in _DIGESTS:
        return False
    name, algorithm = _DIGESTS[digest]
    hashed = hashlib.new(name, data).digest()
    if isinstance(key, rsa.RSAPublicKey):
        return _raw_rsa_is_right(key, hashed, signature)
    if isinstance(key, ec.EllipticCurvePublicKey):
        try:
            key.verify(signature, hashed, ec.ECDSA(Prehashed(algorithm)))
        except InvalidSignature:
            return False
        return True
    return False


def _raw_rsa_is_right(key: rsa.RSAPublicKey, hashed: bytes, signature: bytes) -> bool:
    """Compare the whole block; a parser of the padding could be fooled."""
    numbers = key.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= numbers.n or size < len(hashed) + 11:
        return False
    return pow(number, numbers.e, numbers.n).to_bytes(size, "big") == raw_block(hashed, size)


@dataclass(frozen=True, slots=True)
class CheckedCredentials:
    """The result of checking a phone's credentials.

    ``outcome`` is None if they are valid, otherwise ``problem`` says what is wrong; ``mic``: the phone proved that it
    has the key of a trusted MIC.
    """

    outcome: Outcome | None = None
    problem: str = ""
    mic: bool = False


def check_certificate(
    claim: Claim, mode: AuthenticationMode, has_preferred: bool, trust: Trust, now: float
) -> CheckedCredentials:
    """Check a phone that authenticates by an existing certificate.

    ``has_preferred``: the server knows that this phone has the certificate to which the mode gives precedence, so no
    other certificate is accepted. ``now``: epoch seconds.
    """
    missing = Outcome.INVALID_LSC if mode is AuthenticationMode.LSC_FIRST else Outcome.INVALID_MIC
    if not claim.certificates:
        return CheckedCredentials(missing, "the phone sent no certificate")
    try:
        certificate = x509.load_der_x509_certificate(claim.certificates[0][1])
        sha1 = isinstance(certificate.signature_hash_algorithm, hashes.SHA1)
        is_lsc = not sha1 and issuer_of(certificate, trust.lsc_issuers) is not None
        return _check(claim, certificate, is_lsc, mode, has_preferred, trust, now)
    except UNREADABLE:
        return CheckedCredentials(missing, "the phone's certificate cannot be read")


def _check(
    claim: Claim,
    certificate: x509.Certificate,
    is_lsc: bool,
    mode: AuthenticationMode,
    has_preferred: bool,
    trust: Trust,
    now: float,
) -> CheckedCredentials:
    if has_preferred and is_lsc is not (mode is AuthenticationMode.LSC_FIRST):
        return (
            CheckedCredentials(Outcome.INVALID_MIC, _SENT_LSC)
            if is_lsc
            else _not_its_lsc(claim, certificate, trust, now)
        )
    if not is_lsc and (problem := mic_problem(certificate, trust, now)):
        return CheckedCredentials(_kind_of(claim), problem)
    if is_lsc and (problem := _dates(certificate, now)):
        return CheckedCredentials(Outcome.INVALID_LSC, f"the LSC {problem}")
    if not names_device(certificate, claim.device_name, is_lsc):
        problem = f"the certificate names {_common_names(certificate)}, not {claim.device_name}"
        return CheckedCredentials(Outcome.INVALID_CREDENTIALS, problem)
    if not _signed(claim, certificate):
        problem = "the signature is missing or was not made with the certificate's key"
        return CheckedCredentials(Outcome.INVALID_LSC if is_lsc else Outcome.INVALID_MIC, problem)
    sudi = check_sudi(claim, trust, now)
    return sudi if sudi.outcome is not None else CheckedCredentials(mic=sudi.mic or not is_lsc)


_SENT_LSC = "the phone sent its LSC; with precedence to MIC it has to send the MIC that it is known to have"
_SENT_MIC = "the phone sent no LSC of this CAPF; with precedence to LSC it has to send the LSC that it is known to have"


def _not_its_lsc(claim: Claim, certificate: x509.Certificate, trust: Trust, now: float) -> CheckedCredentials:
    """Refuse a certificate that is not an LSC of this CAPF, from a phone that has to send its LSC."""
    problem = lsc_problem(certificate, trust, now) if _kind_of(claim) is Outcome.INVALID_LSC else ""
    return CheckedCredentials(Outcome.INVALID_LSC, problem or _SENT_MIC)


def lsc_problem(certificate: x509.Certificate, trust: Trust, now: float) -> str:
    """Return why a session does not accept an LSC: its digest, its issuer or its dates; empty if it does."""
    if isinstance(certificate.signature_hash_algorithm, hashes.SHA1):
        return "the LSC is signed with SHA-1"
    if issuer_of(certificate, trust.lsc_issuers) is None:
        return f"the LSC's issuer {_shown(certificate.issuer.rfc4514_string())} is not trusted"
    problem = _dates(certificate, now)
    return problem and f"the LSC {problem}"


def _kind_of(claim: Claim) -> Outcome:
    """Return the certificate type that the phone stated, if the issuer does not reveal it."""
    return Outcome.INVALID_LSC if claim.certificates[0][0] == CertificateType.LSC else Outcome.INVALID_MIC


def mic_problem(certificate: x509.Certificate, trust: Trust, now: float) -> str:
    """Return why a session does not accept a MIC: its issuer, its digest or its dates; empty if it does."""
    sha1 = isinstance(certificate.signature_hash_algorithm, hashes.SHA1)
    if issuer_of(certificate, trust.mic_issuers) is None:
        return f"its issuer {_shown(certificate.issuer.rfc4514_string())} {NOT_TRUSTED}"
    if sha1 and not _issued_by_old_key(certificate, trust):
        return MIC_WITH_SHA1
    problem = "" if trust.allow_expired_mic else _dates(certificate, now)
    return problem and f"the MIC {problem}"


def _issued_by_old_key(certificate: x509.Certificate, trust: Trust) -> bool:
    """True if SHA-1 is allowed in MICs and a trusted issuer signed this one with it."""
    return trust.allow_sha1_mic and any(_signed_with_sha1(certificate, issuer) for issuer in trust.mic_issuers)


def _dates(certificate: x509.Certificate, now: float) -> str:
    """Return what is wrong with a certificate's dates; empty if it is valid now."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return dates_problem(begin.timestamp(), end.timestamp(), now)


def dates_problem(not_before: float, not_after: float, now: float) -> str:
    """Return what is wrong with these dates, in epoch seconds; empty if they include ``now``."""
    if now > not_after:
        return f"{EXPIRED} {datetime.fromtimestamp(not_after, UTC):%Y-%m-%d}"
    if now < not_before:
        return f"is not valid before {datetime.fromtimestamp(not_before, UTC):%Y-%m-%d}"
    return ""


def _common_names(certificate: x509.Certificate) -> str:
    """Return the common names of a certificate, which are untrusted text."""
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return _shown(" and ".join(names)) if names else "no device"


def _shown(text: str) -> str:
    """Return untrusted text as one short quoted line."""
    return ascii(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")


def _signed_with_sha1(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True if the issuer signed an old MIC; the library itself no longer checks such certificates."""
    key = issuer.public_key()
    if certificate.issuer != issuer.subject or not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        _unused, sha1 = _DIGESTS[DigestType.SHA1]
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), sha1)
    except InvalidSignature:
        return False
    return True


def issuer_of(certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Return the issuer that signed the certificate, None if none of them did."""
    for issuer in issuers:
        try:
            if isinstance(certificate.signature_hash_algorithm, hashes.SHA1):
                _check_sha1_issue(certificate, issuer)
            else:
                certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, *UNREADABLE):
            continue
        return issuer
    return None


def _check_sha1_issue(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check the issuer's SHA-1 signature, which the library no longer does; the caller checks trust."""
    if certificate.issuer != issuer.subject:
        raise InvalidSignature
    key, signed = issuer.public_key(), certificate.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(certificate.signature, signed, padding.PKCS1v15(), _DIGESTS[DigestType.SHA1][1])
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(certificate.signature, signed, ec.ECDSA(_DIGESTS[DigestType.SHA1][1]))
    else:
        raise InvalidSignature


def names_device(certificate: x509.Certificate, device_name: str, is_lsc: bool) -> bool:
    """True if the certificate belongs to this device.

    An LSC's common name is the device name, a MIC's is the model, ``-`` and the device name, in any case. Softphones
    have no MIC, so a MIC whose name merely ends in a softphone's name does not match.
    """
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if len(names) != 1:
        return False
    common_name = str(names[0].value)
    if common_name == device_name:
        return True
    named = None if is_lsc or _SOFTPHONE.match(common_name) else _MIC_NAME.fullmatch(common_name)
    return named is not None and named[1].upper() == device_name


def _signed(claim: Claim, certificate: x509.Certificate) -> bool:
    """Check both signatures over the device name and the certificate that the phone sent."""
    if claim.signed_data is None or claim.sha2_signed_data is None:
        return False
    data = (claim.sent_name or claim.device_name).encode() + b"\0" + claim.certificates[0][1]
    key = certificate.public_key()
    digest, signature = claim.sha2_signed_data
    if digest == DigestType.SHA1:
        return False
    return signature_is_right(key, data, DigestType.SHA1, claim.signed_data) and signature_is_right(
        key, data, digest, signature
    )


def check_sudi(claim: Claim, trust: Trust, now: float) -> CheckedCredentials:
    """Check SUDI data if the phone sent any: a trusted MIC of this device, and signatures over this session's id."""
    if claim.sudi_data is None:
        return (
            CheckedCredentials(Outcome.INVALID_MIC, "the phone sent no SUDI data")
            if trust.require_sudi
            else CheckedCredentials()
        )
    try:
        sudi = unpack_sudi(claim.sudi_data)
        mic = x509.load_der_x509_certificate(sudi.mic)
        if not names_device(mic, claim.device_name, is_lsc=False):
            problem = f"the SUDI data's MIC names {_common_names(mic)}, not {claim.device_name}"
            return CheckedCredentials(Outcome.INVALID_CREDENTIALS, problem)
        problem = mic_problem(mic, trust, now)
        right = not problem and _sudi_signed(sudi, mic, claim.session_id)
    except (WireError, *UNREADABLE):
        return CheckedCredentials(Outcome.INVALID_MIC, "the SUDI data cannot be read")
    if right:
        return CheckedCredentials(mic=True)
    return CheckedCredentials(Outcome.INVALID_MIC, f"SUDI data: {problem or 'the signature is not of this session'}")


def _sudi_signed(sudi: Sudi, mic: x509.Certificate, session_id: int) -> bool:
    data = session_id.to_bytes(4, "little") + sudi.mic
    key = mic.public_key()
    return signature_is_right(key, data, DigestType.SHA1, sudi.sha1_signature) and signature_is_right(
        key, data, DigestType.SHA512, sudi.sha512_signature
    )


def certificate_serial(der: bytes) -> str:
    """Return a certificate's serial number in the form of the database (32 hex digits)."""
    return f"{x509.load_der_x509_certificate(der).serial_number:032x}"
