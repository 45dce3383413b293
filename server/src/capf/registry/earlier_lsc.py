# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of an earlier CAPF, and how they are recorded on this server (R23)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capf.certificates import authority
from capf.model import CertificateState, LintError
from capf.phone_session.verify import UNREADABLE, Trust, issuer_of, lsc_problem, mic_problem, names_device
from capf.store.schema import CertificateRow

NO_OPERATION = 0
"""The operation recorded for certificates that this server did not issue."""
UNKNOWN_ISSUER = ""
"""The issuer's key id if neither a trusted issuer nor the certificate itself reveals it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A certificate of an import: an LSC with its row for the record, or a MIC, which has no row.

    ``problem``: why a session does not accept it, empty if it does; ``trusted``: whether its issuer is trusted.
    """

    row: CertificateRow | None
    problem: str = ""
    trusted: bool = True


def read(pem: str, device_name: str, trust: Trust, now: int) -> Given | str:
    """Return the certificate, or what is wrong with it and what to do.

    An LSC keeps its real issuer. Key id and expiry are those of the trusted issuer that signed it; without one, they
    are the authority key id in the certificate and the expiry of the certificate itself.
    """
    issuers = trust.lsc_issuers
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        if not names_device(certificate, device_name, is_lsc=True):
            if names_device(certificate, device_name, is_lsc=False):
                return Given(None, mic_problem(certificate, trust, now))
            return f"this is not a certificate of {device_name}; give that phone's own"
        key = authority.key_of(certificate.public_key())
        issuer = issuer_of(certificate, issuers)
        key_id = _named_issuer(certificate) if issuer is None else authority.key_id(issuer)
    except LintError as error:
        return f"phones cannot have this certificate: {error}; leave it out"
    except UNREADABLE:
        return "this is not a certificate in PEM; give one, or leave it out"
    if issuer is None and key_id in map(authority.key_id, issuers):
        return "the issuer that this certificate names has not signed it; give the genuine one, or leave it out"
    end = int(certificate.not_valid_after_utc.timestamp())
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    row = CertificateRow(
        serial_number=f"{certificate.serial_number:032x}",
        device_name=device_name,
        operation_id=NO_OPERATION,
        der=certificate.public_bytes(Encoding.DER),
        issuer_key_id=key_id,
        issuer=certificate.issuer.rfc4514_string(),
        issuer_not_after=end if issuer is None else int(issuer.not_valid_after_utc.timestamp()),
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=end,
        ec=key.ec,
        bits=key.bits,
        public_key_sha256=hashlib.sha256(public).hexdigest(),
        state=CertificateState.ACTIVE.value,
        changed_at=now,
    )
    return Given(row, lsc_problem(certificate, trust, now), issuer is not None)


def _named_issuer(certificate: x509.Certificate) -> str:
    try:
        named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return UNKNOWN_ISSUER
    return UNKNOWN_ISSUER if named is None else named.hex()[:64]
