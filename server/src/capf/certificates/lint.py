# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks an LSC before it is signed by parsing it independently (R2); an invalid one is not signed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from capf.certificates.lsc import PURPOSES, subject_parts, usage
from capf.model import LintError

_SERIAL_BITS = 64


class Lint:
    """The checks of one issuer's LSCs."""

    def __init__(self, issuer: x509.Certificate, key_id: bytes) -> None:
        self._name = issuer.subject
        self._subject_parts = subject_parts(issuer.subject)
        self._not_after = issuer.not_valid_after_utc
        profile = (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage(PURPOSES), False),
            (x509.AuthorityKeyIdentifier(key_id, None, None), False),
        )
        self._extensions = {is_ec: _by_name((*profile, (usage(encipher=not is_ec), True))) for is_ec in (False, True)}

    def check(self, der: bytes, device_name: str, key: Any, now: datetime) -> None:
        """Check a certificate whose signature is still empty; LintError if it is invalid."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            faults = self._faults(certificate, device_name, key, now)
        except ValueError as error:
            raise LintError("the certificate cannot be read") from error
        for fault, present in faults.items():
            if present:
                raise LintError(fault)

    def _faults(self, certificate: x509.Certificate, device_name: str, key: Any, now: datetime) -> dict[str, bool]:
        subject = [*self._subject_parts, x509.NameAttribute(NameOID.COMMON_NAME, device_name)]
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        algorithm = certificate.signature_algorithm_oid
        return {
            "the version is not 3": certificate.version is not x509.Version.v3,
            "the serial number is too short": certificate.serial_number.bit_length() <= _SERIAL_BITS,
            "the signature is not RSA with SHA-256": algorithm != SignatureAlgorithmOID.RSA_WITH_SHA256,
            "the issuer is not CAPF": certificate.issuer != self._name,
            "the subject is not the device": list(certificate.subject) != subject,
            "it is not valid now": not start <= now < end,
            "it outlives its issuer": end > self._not_after,
            "the key is not the phone's": certificate.public_key() != key,
            "the extensions are not those of the profile": not self._extensions_are_right(certificate, key),
        }

    def _extensions_are_right(self, certificate: x509.Certificate, key: Any) -> bool:
        """Compare every extension with the profile; the subject key identifier must be that of the phone's key."""
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        wanted = self._extensions[isinstance(key, ec.EllipticCurvePublicKey)] | _by_name(((own, False),))
        found = {extension.oid: extension for extension in certificate.extensions}
        return found == wanted


def _by_name(
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]:
    return {value.oid: x509.Extension(value.oid, critical, value) for value, critical in extensions}
