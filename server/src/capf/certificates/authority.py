# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate, the key policy, the LSC profile, its lint, and signing (R2, R3, R4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Never

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from capf.certificates import lsc
from capf.certificates.lint import Lint
from capf.certificates.lsc import usage
from capf.certificates.weak import weakness
from capf.model import DamagedError, Fault, KeySpec, LintError

RandomBytes = Callable[[int], bytes]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
CAPF_YEARS = 20
_CURVE_BITS = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
_DAYS_A_YEAR = 365.25
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed certificate that has passed the lint."""

    der: bytes
    serial_number: str
    issuer_key_id: str
    issuer: str
    issuer_not_after: int
    not_before: int
    not_after: int
    key: KeySpec
    public_key_sha256: str


def new_serial(random: RandomBytes) -> int:
    """Return a positive serial number of 128 random bits."""
    return int.from_bytes(random(16), "big") or new_serial(random)


def make_capf_certificate(
    random: RandomBytes, now: float, organization: str, unit: str
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Make the CAPF key and its self-signed certificate, common name ``CAPF-`` and 8 hex digits (R3)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, f"CAPF-{random(4).hex()}"),
        ]
    )
    start = datetime.fromtimestamp(int(now), UTC) - _CLOCK_SKEW
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(new_serial(random))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=CAPF_YEARS * _DAYS_A_YEAR))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(sign=True), critical=True)
        .add_extension(key_id, critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def common_name(certificate: x509.Certificate) -> str:
    """Return the common name of the certificate's subject."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _canonical(name: x509.Name) -> bytes:
    """Return the name in OpenSSL's canonical form: UTF-8, ASCII in lower case, single spaces, no outer SEQUENCE."""
    attributes = [
        x509.NameAttribute(item.oid, " ".join(str(item.value).split()).encode().lower().decode()) for item in name
    ]
    return b"".join(_inner(x509.Name([attribute]).public_bytes()) for attribute in attributes)


def _inner(sequence: bytes) -> bytes:
    """Return the content of a DER sequence."""
    long_form = sequence[1] & 0x80
    return sequence[2 + (sequence[1] & 0x7F if long_form else 0) :]


def subject_hash(certificate: x509.Certificate) -> str:
    """Return the subject hash by which OpenSSL finds a certificate (8 hex digits)."""
    digest = hashlib.sha1(_canonical(certificate.subject), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def file_names(certificate: x509.Certificate) -> tuple[str, str]:
    """Return both names under which the CAPF certificate is published, each ending in ``.0`` (R3)."""
    return f"{common_name(certificate)}.0", f"{subject_hash(certificate)}.0"


def key_id(certificate: x509.Certificate) -> str:
    """Return the subject key identifier in hex; if the certificate has none, compute it from the public key."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        found = x509.SubjectKeyIdentifier.from_public_key(load_certificate_key(certificate))
    return found.digest.hex()


def load_certificate_key(certificate: x509.Certificate) -> PublicKey:
    """Return the certificate's public key; LintError if its type is not allowed."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise LintError("the key is neither RSA nor EC")
    return key


def key_of(public_key: object) -> KeySpec:
    """Return type and size of a public key; LintError if its type is not allowed."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return KeySpec(ec=False, bits=public_key.key_size)
    if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in _CURVE_BITS:
        return KeySpec(ec=True, bits=_CURVE_BITS[public_key.curve.name])
    raise LintError("the key is neither RSA nor EC P-256, P-384 or P-521")


def load_public_key(der: bytes, wanted: Sequence[KeySpec]) -> PublicKey:
    """Return the phone's public key; LintError if it is not of the scheduled type and size."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise LintError("the public key cannot be read") from None
    found = key_of(key)
    if found not in wanted:
        allowed = " or ".join(str(spec) for spec in wanted)
        raise LintError(f"the key is {found}; {allowed} is scheduled")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise LintError("the key is neither RSA nor EC")
    if isinstance(key, rsa.RSAPublicKey) and (fault := weakness(key.public_numbers())) is not None:
        raise LintError(fault)
    return key


class Authority:
    """Signs LSCs with the CAPF certificate."""

    usable = True

    def __init__(
        self,
        key: rsa.RSAPrivateKey,
        certificate: x509.Certificate,
        random: RandomBytes,
        *,
        earlier: Sequence[x509.Certificate] = (),
        manufacturing: Sequence[x509.Certificate] = (),
        following: x509.Certificate | None = None,
        unreadable: Sequence[Fault] = (),
    ) -> None:
        """``earlier``: CAPF certificates whose LSCs are still accepted; ``manufacturing``: trusted MIC issuers;
        ``following``: the CAPF certificate that will issue LSCs once it is activated; ``unreadable``: the faults of
        files that should contain earlier or following ones."""
        self._unreadable = tuple(unreadable)
        self._key = key
        self._random = random
        self.certificate = certificate
        self.following = following
        self.lsc_issuers = (certificate, *earlier)
        self.mic_issuers = tuple(manufacturing)
        self.key_id = key_id(certificate)
        self.issuer_key_ids = frozenset(map(key_id, self.lsc_issuers))
        self._not_after = certificate.not_valid_after_utc
        self._profile = lsc.Profile(certificate, bytes.fromhex(self.key_id))
        self._lint = Lint(certificate, bytes.fromhex(self.key_id))
        self._issuer_text = certificate.subject.rfc4514_string()

    def expired(self, now: float) -> bool:
        """Whether the CAPF certificate can no longer issue LSCs."""
        return self._not_after.timestamp() <= now

    @property
    def ctl_certificates(self) -> tuple[x509.Certificate, ...]:
        """The CAPF certificates in a CTL file: the active one, the next one, and those whose LSCs are still accepted.

        DamagedError if one of them cannot be read: phones would no longer trust it with a CTL file that lacks it.
        """
        if self._unreadable:
            raise DamagedError(self._unreadable[0])
        following = () if self.following is None else (self.following,)
        return (self.certificate, *following, *self.lsc_issuers[1:])

    def sign(self, device_name: str, public_key: bytes, wanted: Sequence[KeySpec], years: int, now: float) -> Signed:
        """Return a linted LSC for the phone's public key (DER); LintError if the key or the profile is wrong.

        It is valid for ``years`` from ``now`` (epoch seconds) but never outlives the CAPF certificate.
        """
        key = load_public_key(public_key, wanted)
        spec = key_of(key)
        moment = datetime.fromtimestamp(int(now), UTC)
        start = moment - _CLOCK_SKEW
        end = min(start + timedelta(days=years * _DAYS_A_YEAR), self._not_after)
        if end <= moment:
            raise LintError("the CAPF certificate has expired")
        serial = new_serial(self._random)
        public = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key).digest
        unsigned = self._profile.to_be_signed(device_name, serial, start, end, public, key_id=identifier, ec=spec.ec)
        self._lint.check(lsc.certificate(unsigned, b""), device_name, key, moment)
        return Signed(
            der=lsc.certificate(unsigned, self._key.sign(unsigned, padding.PKCS1v15(), hashes.SHA256())),
            serial_number=f"{serial:032x}",
            issuer_key_id=self.key_id,
            issuer=self._issuer_text,
            issuer_not_after=int(self._not_after.timestamp()),
            not_before=int(start.timestamp()),
            not_after=int(end.timestamp()),
            key=spec,
            public_key_sha256=hashlib.sha256(public).hexdigest(),
        )


class MissingAuthority(Authority):
    """Placeholder for an unusable CAPF key or certificate: every use of it raises DamagedError with its fault."""

    usable = False

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Never:
        raise DamagedError(self._fault)
