# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads, creates and verifies CTL files (docs/ctl-file.md).

A file is a header, signed by a System Administrator Security Token (SAST), and one record per certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from capf.certificates import envelope
from capf.certificates.envelope import HEAD_BYTES, LENGTH_BYTES, Envelope, EnvelopeError, Label, element, name_text
from capf.certificates.signatures import Digest, SigningKey
from capf.model import CapfError

FILE_NAME = "CTLFile.tlv"
_WHAT = "CTL file"
_RECORDS = "list of records in the CTL file"
MAXIMUM_BYTES = 1_000_000


class CtlError(CapfError):
    """The bytes are not a CTL file, or its signature is invalid."""


class Role(IntEnum):
    """The role for which phones trust a certificate."""

    SAST = 0
    CCM = 1
    CCM_TFTP = 2
    TFTP = 3
    CAPF = 4
    APP_SERVER = 7
    TVS = 21


class _R(IntEnum):
    """Record tags."""

    LENGTH = 1
    DNS_NAME = 2
    SUBJECT = 3
    ROLE = 4
    ISSUER = 5
    SERIAL_NUMBER = 6
    PUBLIC_KEY = 7
    SIGNATURE = 8
    CERTIFICATE = 9
    IP_ADDRESS = 10


@dataclass(frozen=True, slots=True)
class Record:
    """A certificate and the role for which phones trust it."""

    role: int
    certificate: x509.Certificate
    dns_name: str | None = None


@dataclass(frozen=True, slots=True)
class CtlFile:
    """A parsed CTL file; ``signer`` checks its signature."""

    records: tuple[Record, ...]
    envelope: Envelope

    @property
    def digest(self) -> Digest:
        """The digest of the signature."""
        return self.envelope.digest

    @property
    def signer_version(self) -> tuple[int, int]:
        """The signer version; 1.0 if the file has none, as from early versions of Unified CM."""
        return self.envelope.label.signer_version or (1, 0)

    @property
    def signer_name(self) -> str:
        """The subject of the token that signed the file, as the header has it."""
        return self.envelope.signer_name

    @property
    def timestamp(self) -> int:
        """The time of signing in epoch seconds."""
        return self.envelope.label.timestamp

    def certificates(self, role: Role) -> list[x509.Certificate]:
        """Return the certificates with this role."""
        return [record.certificate for record in self.records if record.role == role]

    def signer(self, trusted: Sequence[x509.Certificate] | None = None) -> x509.Certificate:
        """Return the SAST that signed the file.

        ``trusted``: the SASTs of the CTL file on the phone, None if it has none and accepts the first one. CtlError if
        none of them has signed it, or the record of the signer is missing.
        """
        own = self.certificates(Role.SAST)
        for token in own:
            known = trusted is None or token in trusted
            if known and token.serial_number == self.envelope.serial_number and self._signed_by(token):
                return token
        raise CtlError("the CTL file is not signed by a known security token")

    def _signed_by(self, token: x509.Certificate) -> bool:
        _key(token)
        return self.envelope.is_signed_by(token)


def _key(certificate: x509.Certificate) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    with suppress(ValueError, UnsupportedAlgorithm):  # parsing a certificate does not check its key
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            return key
    raise CtlError("certificates of a CTL file must have an RSA or EC key")


def _public_key(certificate: x509.Certificate) -> bytes:
    key = _key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def encode_record(record: Record) -> bytes:
    """Return a record's bytes, with the elements in the order of Cisco's tools."""
    certificate = record.certificate
    parts = [
        element(_R.SUBJECT, envelope.text(name_text(certificate.subject))),
        element(_R.ISSUER, envelope.text(name_text(certificate.issuer))),
        element(_R.SERIAL_NUMBER, envelope.number(certificate.serial_number)),
        element(_R.ROLE, record.role.to_bytes(2, "big")),
        element(_R.PUBLIC_KEY, _public_key(certificate)),
        element(_R.SIGNATURE, certificate.signature),
        element(_R.CERTIFICATE, certificate.public_bytes(serialization.Encoding.DER)),
    ]
    if record.dns_name is not None:
        parts.insert(0, element(_R.DNS_NAME, envelope.text(record.dns_name)))
    body = b"".join(parts)
    length = len(body) + HEAD_BYTES + LENGTH_BYTES
    return element(_R.LENGTH, length.to_bytes(2, "big")) + body


def make(
    records: Sequence[Record],
    token: x509.Certificate,
    key: rsa.RSAPrivateKey,
    timestamp: int,
    *,
    digest: Digest = Digest.SHA512,
    signer_version: tuple[int, int] = (1, 0),
) -> bytes:
    """Return a CTL file signed by ``token``; ``timestamp`` in epoch seconds. CtlError without its record."""
    if not any(record.role == Role.SAST and record.certificate == token for record in records):
        raise CtlError("the signing security token has no record in the CTL file")
    label = Label(FILE_NAME, timestamp, envelope.LIST, signer_version)
    return envelope.make(b"".join(map(encode_record, records)), label, SigningKey(token, key, digest))


def _read_record(data: bytes, start: int) -> tuple[Record, int]:
    length = int.from_bytes(data[start + HEAD_BYTES : start + HEAD_BYTES + LENGTH_BYTES], "big")
    end = start + length
    if data[start] != _R.LENGTH or length <= HEAD_BYTES + LENGTH_BYTES or end > len(data):
        raise CtlError(f"the {_RECORDS} is damaged at byte {start}")
    values = {tag: value for _unused, tag, value in envelope.elements(data, start, end, _RECORDS)}
    try:
        certificate = x509.load_der_x509_certificate(values[_R.CERTIFICATE])
        role = int.from_bytes(values[_R.ROLE], "big")
    except (KeyError, ValueError, x509.InvalidVersion):
        raise CtlError(f"the record at byte {start} of the {_RECORDS} has no readable certificate and role") from None
    name = values.get(_R.DNS_NAME)
    return Record(role, certificate, None if name is None else name.rstrip(b"\0").decode(errors="replace")), end


def read(data: bytes) -> CtlFile:
    """Parse a file; CtlError if it is damaged. The signature is not checked here."""
    if len(data) > MAXIMUM_BYTES:
        raise CtlError("not a CTL file")
    try:
        return _file(envelope.read(data, _WHAT))
    except EnvelopeError as error:
        raise CtlError(str(error)) from None


def _file(file: Envelope) -> CtlFile:
    if file.label.version in (envelope.SIGNED, envelope.ENCRYPTED):
        raise CtlError("not a CTL file")
    records, position = list[Record](), 0
    while position < len(file.content):
        record, position = _read_record(file.content, position)
        records.append(record)
    return CtlFile(tuple(records), file)
