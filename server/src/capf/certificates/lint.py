# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks an LSC before it is signed by parsing it independently (R2); an invalid one is not signed.

The library reads the whole certificate. The parts that are known beforehand (names, key and extensions) are compared
byte for byte with what the library makes of them; the others by their value.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from capf.certificates.lsc import PURPOSES, subject_parts, usage
from capf.model import LintError

_SERIAL_BITS = 64
_ISSUER, _SUBJECT, _KEY, _EXTENSIONS = 3, 5, 6, 7
"""Where a certificate of version 3 has them among its parts; only the extensions come last."""
_LONG_LENGTH = 0x80
_MARK = bytes(range(20))
"""Stands in a template for the key identifier of a phone's key."""


class Lint:
    """The checks of one issuer's LSCs."""

    def __init__(self, issuer: x509.Certificate, key_id: bytes) -> None:
        self._issuer = issuer.subject.public_bytes()
        self._subject = _content(x509.Name(subject_parts(issuer.subject)).public_bytes())
        self._not_after = issuer.not_valid_after_utc
        self._extensions = {is_ec: _template(issuer, key_id, is_ec).split(_MARK) for is_ec in (False, True)}

    def check(self, der: bytes, device_name: str, key: Any, now: datetime) -> None:
        """Check a certificate whose signature is still empty; LintError if it is invalid."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            faults = self._faults(certificate, _elements(_elements(der)[0]), device_name, key, now)
        except ValueError as error:
            raise LintError("the certificate cannot be read") from error
        for fault, present in faults.items():
            if present:
                raise LintError(fault)

    def _faults(
        self, certificate: x509.Certificate, parts: list[bytes], device_name: str, key: Any, now: datetime
    ) -> dict[str, bool]:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        algorithm = certificate.signature_algorithm_oid
        return {
            "the version is not 3": certificate.version is not x509.Version.v3,
            "the serial number is too short": certificate.serial_number.bit_length() <= _SERIAL_BITS,
            "the signature is not RSA with SHA-256": algorithm != SignatureAlgorithmOID.RSA_WITH_SHA256,
            "the issuer is not CAPF": parts[_ISSUER] != self._issuer,
            "the subject is not the device": _content(parts[_SUBJECT]) != self._subject + _common_name(device_name),
            "it is not valid now": not start <= now < end,
            "it outlives its issuer": end > self._not_after,
            "the key is not the phone's": parts[_KEY:_EXTENSIONS] != [_encoded(key)],
            "the extensions are not those of the profile": parts[_EXTENSIONS:] != [self._extensions_for(key)],
        }

    def _extensions_for(self, key: Any) -> bytes:
        """Return all extensions of the profile; the subject key identifier is that of the phone's key."""
        before, after = self._extensions[isinstance(key, ec.EllipticCurvePublicKey)]
        return before + x509.SubjectKeyIdentifier.from_public_key(key).digest + after


@lru_cache(maxsize=64)
def _common_name_template(length: int) -> bytes:
    """Return a common name of this many characters as the library writes it, up to its text."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * length)])
    return _content(name.public_bytes())[:-length]


def _common_name(device_name: str) -> bytes:
    text = device_name.encode()
    return _common_name_template(len(text)) + text


def _encoded(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _template(issuer: x509.Certificate, key_id: bytes, is_ec: bool) -> bytes:
    """Return the extensions of the profile as the library writes them, with a mark for the phone's key identifier."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer.subject, issuer.subject, key.public_key(), 1, issuer.not_valid_before_utc, issuer.not_valid_after_utc
    )
    for value, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(encipher=not is_ec), True),
        (x509.ExtendedKeyUsage(PURPOSES), False),
        (x509.SubjectKeyIdentifier(_MARK), False),
        (x509.AuthorityKeyIdentifier(key_id, None, None), False),
    ):
        builder = builder.add_extension(value, critical)
    return _elements(builder.sign(key, hashes.SHA256()).tbs_certificate_bytes)[-1]


def _span(der: bytes, start: int) -> tuple[int, int]:
    """Return where the content of the element at ``start`` begins and ends, in DER that the library has read."""
    length, content = der[start + 1], start + 2
    if length & _LONG_LENGTH:
        begin, content = content, content + (length & ~_LONG_LENGTH)
        length = int.from_bytes(der[begin:content], "big")
    return content, content + length


def _content(element: bytes) -> bytes:
    begin, end = _span(element, 0)
    return element[begin:end]


def _elements(sequence: bytes) -> list[bytes]:
    """Return the elements of a sequence."""
    found = []
    start, end = _span(sequence, 0)
    while start < end:
        after = _span(sequence, start)[1]
        found.append(sequence[start:after])
        start = after
    return found
