# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's manufacturing CA and its MICs, and the lab's security token that signs CTL files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from capf.certificates import ctl
from capf.model import CapfError, KeySpec
from capf_lab.flash import Identity
from capf_lab.keys import KeyMaker

_MIC_YEARS = 10
_CA_YEARS = 30
MIC_KEY = KeySpec(ec=False, bits=2048)


@dataclass(frozen=True, slots=True)
class Maker:
    """A certificate authority of the lab: its key and its self-signed certificate in one directory."""

    directory: Path
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def open_or_make(cls, directory: Path, common_name: str) -> Maker:
        """Return the authority in ``directory``, which is created on the first call."""
        key_file, certificate_file = directory / "ca.key", directory / "ca.pem"
        if key_file.exists():
            key = load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise CapfError(f"{key_file}: not an RSA key")
            return cls(directory, key, x509.load_pem_x509_certificate(certificate_file.read_bytes()))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = rsa.generate_private_key(65537, 2048)
        name = _name("Lab Manufacturing", common_name)
        certificate = _builder(name, name, key.public_key(), _CA_YEARS).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made = cls(directory, key, certificate.sign(key, hashes.SHA256()))
        certificate_file.write_bytes(made.certificate.public_bytes(Encoding.PEM))
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made

    def make_mic(self, device_name: str, model: str, keys: KeyMaker) -> Identity:
        """Return a new MIC for a device; its common name is ``CP-<model>-<device name>``."""
        key = keys.make(MIC_KEY)
        subject = _name("Lab Manufacturing", f"CP-{model}-{device_name}")
        builder = _builder(subject, self.certificate.subject, key.public_key(), _MIC_YEARS)
        return Identity(builder.sign(self.key, hashes.SHA256()), key)

    def make_ctl(self, capf: list[x509.Certificate]) -> bytes:
        """Return a CTL file signed by this authority as the security token, listing the CAPF certificates."""
        records = [ctl.Record(ctl.Role.SAST, self.certificate)]
        records += [ctl.Record(ctl.Role.CAPF, certificate) for certificate in capf]
        return ctl.make(records, self.certificate, self.key, int(time.time()))


def _name(organization: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: object, years: int) -> x509.CertificateBuilder:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)  # type: ignore[arg-type]  # RSA or EC, by what the caller made
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
    )
