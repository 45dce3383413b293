# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of trusted issuers of MICs (R1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from capf.certificates.keystore import Keystore, fingerprint, pem
from capf.model import InvalidRequestError, Problem
from capf.registry import moment
from capf.registry.changes import KeystoreChange
from capf.registry.transaction import Transaction

_TO_DO = "give one or more CA certificates in PEM"


def read(texts: Sequence[str], field: str) -> list[x509.Certificate]:
    """Return the CA certificates of PEM texts, each once; InvalidRequestError names each text with anything else."""
    found: list[x509.Certificate] = []
    problems = []
    for index, text in enumerate(texts):
        try:
            held = x509.load_pem_x509_certificates(text.encode())
            faults = [fault for fault in map(_fault, held) if fault is not None]
        except (ValueError, UnsupportedAlgorithm):
            held, faults = [], ["this contains no readable certificates in PEM"]
        found += held
        problems += [Problem(f"{field}[{index}]", "(certificate)", f"{fault}; {_TO_DO}") for fault in faults]
    if problems:
        raise InvalidRequestError(problems)
    return list(dict.fromkeys(found))


def _fault(certificate: x509.Certificate) -> str | None:
    """Return why this is not a CA certificate, None if it is one."""
    subject = certificate.subject.rfc4514_string()
    if not certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        return f"{subject} has no common name"
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return f"{subject} has no basic constraints"
    return None if basic.ca else f"{subject} is not a CA"


def show(certificate: x509.Certificate) -> dict[str, Any]:
    """Return a trusted issuer as the API shows it."""
    algorithm = certificate.signature_hash_algorithm
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": moment.show(int(certificate.not_valid_before_utc.timestamp())),
        "not_after": moment.show(int(certificate.not_valid_after_utc.timestamp())),
        "signature_hash": "" if algorithm is None else algorithm.name,
        "sha256": fingerprint(certificate),
        "pem": pem(certificate).decode(),
    }


def warnings(certificates: Sequence[x509.Certificate], now: int) -> list[str]:
    """Return warnings about trusted issuers that are weak or expired."""
    found = []
    for certificate in certificates:
        subject = certificate.subject.rfc4514_string()
        if isinstance(certificate.signature_hash_algorithm, hashes.SHA1):
            found.append(f"{subject} is signed with SHA-1")
        if certificate.not_valid_after_utc.timestamp() <= now:
            found.append(f"{subject} has expired")
    return found


def ensure(tx: Transaction, keys: Keystore, given: Sequence[x509.Certificate], state: str) -> KeystoreChange:
    """Trust these issuers (``present``), only these (``exact``), or none of these (``absent``), in new sessions."""
    trusted = tx.context.authority.mic_issuers
    added = [item for item in given if state != "absent" and item not in trusted]
    unwanted = {"present": [], "absent": list(given), "exact": [item for item in trusted if item not in given]}[state]
    removed = [item for item in unwanted if item in trusted]
    after = [item for item in (*trusted, *added) if item not in removed]
    for verb, items in (("trust", added), ("distrust", removed)):
        for sha256, name in _names(items).items():
            tx.audit(f"{verb} manufacturing CA", subject=name, sha256=sha256)

    def carry_out() -> None:
        keys.manufacturing.add(added)
        keys.manufacturing.remove(removed)

    return KeystoreChange(
        _names(trusted), _names(after), carry_out if added or removed else None, warnings(after, tx.now)
    )


def _names(certificates: Sequence[x509.Certificate]) -> dict[str, str]:
    return {fingerprint(item): item.subject.rfc4514_string() for item in certificates}
