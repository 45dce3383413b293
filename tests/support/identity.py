# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of phones for tests: MICs of a test manufacturer, and LSCs."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from capf.certificates.authority import new_serial
from capf.model import KeySpec
from capf_lab.flash import Flash, Identity
from capf_lab.keys import KeyMaker
from capf_lab.manufacturing import Maker

EC_KEY = KeySpec(ec=True, bits=256)


def common_name(name: str) -> x509.Name:
    """Return a subject with only a common name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def public_der(key: Any) -> bytes:
    """Return the public key of a private key in the form that phones send."""
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate_named(name: str) -> x509.Certificate:
    """Return a certificate with this common name, which is of nobody."""
    subject, start = common_name(name), datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(_KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(_KEY, hashes.SHA256())


class Manufacturer:
    """A trusted manufacturing CA and its phones."""

    def __init__(self, directory: Path, name: str = "Test Manufacturing CA") -> None:
        self.directory = directory
        self.maker = Maker.open_or_make(directory / name, name)
        self.ca = directory / name / "ca.pem"

    def sign(
        self, subject: str | x509.Name, key: Any = None, *, days: tuple[int, int] = (-1, 3650), issuer: Any = None
    ) -> Identity:
        """Return a certificate for a subject, valid in these days from now, and its key."""
        key = key or KeyMaker().make(EC_KEY)
        name = common_name(subject) if isinstance(subject, str) else subject
        now = datetime.now(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.maker.certificate.subject)
            .public_key(key.public_key())
            .serial_number(new_serial(os.urandom))
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )
        return Identity(builder.sign(issuer or self.maker.key, hashes.SHA256()), key)

    def phone(self, name: str, mic: Identity | None = None) -> Flash:
        """Return the flash of a phone with a MIC: a normal one, or the given one."""
        flash = Flash(self.directory / f"flash-{name}-{os.urandom(4).hex()}")
        flash.make_mic(mic or self.sign(f"CP-8845-{name}"))
        return flash

    def sha1_mic(self, name: str) -> Identity:
        """Return a MIC signed with SHA-1, as on old phones; openssl can still create it."""
        key = KeyMaker().make(EC_KEY)
        files = {item: self.directory / f"sha1-{item}" for item in ("key", "request", "mic")}
        files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        subject: list[str | Path] = ["-key", files["key"], "-subj", f"/CN=CP-7941G-{name}", "-out", files["request"]]
        _openssl("req", "-new", *subject)
        issuer: list[str | Path] = ["-CA", self.ca, "-CAkey", self.ca.with_suffix(".key"), "-sha1", "-days", "3650"]
        _openssl("x509", "-req", "-in", files["request"], *issuer, "-out", files["mic"])
        return Identity(x509.load_pem_x509_certificate(files["mic"].read_bytes()), key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def hold(flash: Flash, der: bytes, key: Any) -> None:
    """Put the LSC that CAPF sent into the phone's flash."""
    flash.store_lsc(Identity(x509.load_der_x509_certificate(der), key))


def new_ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a new EC P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())
