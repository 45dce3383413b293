# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace files of Troubleshoot: one per certificate type that the phone has (R27)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from capf.certificates.keystore import SECRET, write_whole
from capf.phone_session.verify import UNREADABLE
from capf.phone_session.wire import CertificateType

LOG = logging.getLogger(__name__)


def write(directory: Path, device_name: str, certificates: Sequence[tuple[int, bytes]]) -> list[Path]:
    """Write each certificate with its main fields as ``<device>-<type>.txt``, mode 0600; returns the files."""
    directory.mkdir(mode=0o700, exist_ok=True)
    files = []
    for kind, der in certificates:
        name = CertificateType(kind).name if kind in tuple(CertificateType) else f"TYPE{kind}"
        path = directory / f"{device_name}-{name}.txt"
        write_whole(path, _describe(device_name, name, der).encode(), SECRET)
        files.append(path)
    return files


def mic(directory: Path, device_name: str) -> bytes | None:
    """Return the MIC from the last Troubleshoot (DER), None if it is unknown or its file is damaged."""
    path = directory / f"{device_name}-{CertificateType.MIC.name}.txt"
    try:
        data = path.read_bytes()
        pem = data.find(b"-----BEGIN CERTIFICATE")
        return None if pem < 0 else x509.load_pem_x509_certificate(data[pem:]).public_bytes(Encoding.DER)
    except FileNotFoundError:
        return None
    except (OSError, *UNREADABLE) as error:
        LOG.warning("device=%s event=mic-unreadable file=%s error=%r", device_name, path.name, str(error))
        return None


def _describe(device_name: str, kind: str, der: bytes) -> str:
    try:
        return _readable(device_name, kind, x509.load_der_x509_certificate(der))
    except UNREADABLE:
        return f"device name: {device_name}\ncertificate type: {kind}\nunreadable: {der.hex()}\n"


def _readable(device_name: str, kind: str, certificate: x509.Certificate) -> str:
    return (
        f"device name: {device_name}\n"
        f"certificate type: {kind}\n"
        f"subject: {_one_line(certificate.subject)}\n"
        f"issuer: {_one_line(certificate.issuer)}\n"
        f"serial number: {certificate.serial_number:x}\n"
        f"not before: {certificate.not_valid_before_utc.isoformat()}\n"
        f"not after: {certificate.not_valid_after_utc.isoformat()}\n"
        f"{certificate.public_bytes(Encoding.PEM).decode()}"
    )


def _one_line(name: x509.Name) -> str:
    """Return a name with escaped line breaks and terminal control characters."""
    text = name.rfc4514_string()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
