# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads, creates and verifies CTL files (docs/ctl-file.md).

A file is a header, signed by a System Administrator Security Token (SAST), and one record per certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from capf.model import CapfError

FILE_NAME = "CTLFile.tlv"
_VERSION = b"\x01\x02"
_PADDING = 0x0D
_ALIGNMENT = 4
_HEAD_BYTES = 3
_LENGTH_BYTES = 2
_MODULUS_CODES = {64: 0, 128: 1, 256: 2, 512: 3}
MODULUS_BITS = tuple(8 * size for size in _MODULUS_CODES)
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


class Digest(IntEnum):
    """Digest of the file's signature."""

    SHA1 = 1
    SHA256 = 2
    SHA512 = 3


_HASHES: dict[Digest, Callable[[], hashes.HashAlgorithm]] = {
    Digest.SHA1: hashes.SHA1,
    Digest.SHA256: hashes.SHA256,
    Digest.SHA512: hashes.SHA512,
}


class _H(IntEnum):
    """Header tags."""

    VERSION = 1
    HEADER_LENGTH = 2
    SIGNER_INFO = 3
    SIGNER_NAME = 4
    SERIAL_NUMBER = 5
    ISSUER_NAME = 6
    SIGNATURE_INFO = 7
    HASH_ALGORITHM = 8
    SIGNATURE_ALGORITHM_INFO = 9
    SIGNATURE_ALGORITHM = 10
    SIGNATURE_MODULUS = 11
    SIGNATURE = 12
    FILE_NAME = 14
    TIMESTAMP = 15
    SIGNER_VERSION = 28


_CONTAINERS = (_H.SIGNER_INFO, _H.SIGNATURE_INFO, _H.SIGNATURE_ALGORITHM_INFO)


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
    digest: Digest
    signer_version: tuple[int, int]
    signer_name: str
    signer_serial: int
    file_name: str
    timestamp: int
    signature: bytes
    signed: bytes

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
            if known and token.serial_number == self.signer_serial and self._signed_by(token):
                return token
        raise CtlError("the CTL file is not signed by a known security token")

    def _signed_by(self, token: x509.Certificate) -> bool:
        key = _key(token)
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), _HASHES[self.digest]())
        except InvalidSignature:
            return False
        return True


def _element(tag: int, value: bytes) -> bytes:
    return bytes((tag,)) + len(value).to_bytes(2, "big") + value


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def name_text(name: x509.Name) -> str:
    """Return a name in the file's form: in the certificate's order, parts joined by commas."""
    return ",".join(attribute.rfc4514_string() for attribute in name)


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
        _element(_R.SUBJECT, _text(name_text(certificate.subject))),
        _element(_R.ISSUER, _text(name_text(certificate.issuer))),
        _element(_R.SERIAL_NUMBER, _number(certificate.serial_number)),
        _element(_R.ROLE, record.role.to_bytes(2, "big")),
        _element(_R.PUBLIC_KEY, _public_key(certificate)),
        _element(_R.SIGNATURE, certificate.signature),
        _element(_R.CERTIFICATE, certificate.public_bytes(serialization.Encoding.DER)),
    ]
    if record.dns_name is not None:
        parts.insert(0, _element(_R.DNS_NAME, _text(record.dns_name)))
    body = b"".join(parts)
    length = len(body) + _HEAD_BYTES + _LENGTH_BYTES
    return _element(_R.LENGTH, length.to_bytes(2, "big")) + body


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
    size = key.key_size // 8
    if size not in _MODULUS_CODES:
        allowed = ", ".join(map(str, MODULUS_BITS))
        raise CtlError(f"a security token's key has {key.key_size} bits; allowed: {allowed}")
    signer = (
        _element(_H.SIGNER_NAME, _text(name_text(token.subject)))
        + _element(_H.ISSUER_NAME, _text(name_text(token.issuer)))
        + _element(_H.SERIAL_NUMBER, _number(token.serial_number))
    )
    algorithm = _element(_H.SIGNATURE_ALGORITHM, b"\0") + _element(_H.SIGNATURE_MODULUS, bytes((_MODULUS_CODES[size],)))
    info = _element(_H.HASH_ALGORITHM, bytes((digest,))) + _element(_H.SIGNATURE_ALGORITHM_INFO, algorithm)
    after = _element(_H.FILE_NAME, _text(FILE_NAME)) + _element(_H.TIMESTAMP, timestamp.to_bytes(4, "big"))
    middle = (
        _element(_H.SIGNER_VERSION, bytes(signer_version))
        + _element(_H.SIGNER_INFO, signer)
        + _element(_H.SIGNATURE_INFO, info)
    )
    version = _element(_H.VERSION, _VERSION)
    length = len(version) + _HEAD_BYTES + _LENGTH_BYTES + len(middle) + _HEAD_BYTES + size + len(after)
    fill = -length % _ALIGNMENT
    before = version + _element(_H.HEADER_LENGTH, (length + fill).to_bytes(2, "big")) + middle
    rest = after + bytes((_PADDING,)) * fill + b"".join(map(encode_record, records))
    signature = key.sign(before + rest, padding.PKCS1v15(), _HASHES[digest]())
    return before + _element(_H.SIGNATURE, signature) + rest


def _elements(data: bytes, start: int, end: int, stop: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Yield (position, tag, value) up to the tag ``stop``; CtlError if a length exceeds the data."""
    position = start
    while position < end and data[position] != stop:
        first = position + _HEAD_BYTES
        last = first + int.from_bytes(data[position + 1 : first], "big")
        if first > end or last > end:
            raise CtlError(f"the CTL file is damaged at byte {position}")
        yield position, data[position], data[first:last]
        position = last


def _header(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the header's elements, including nested ones, up to the padding at its end."""
    for position, tag, value in _elements(data, start, end, stop=_PADDING):
        if tag in _CONTAINERS:
            first = position + _HEAD_BYTES
            yield from _header(data, first, first + len(value))
        else:
            yield position, tag, value


def _read_record(data: bytes, start: int) -> tuple[Record, int]:
    length = int.from_bytes(data[start + _HEAD_BYTES : start + _HEAD_BYTES + _LENGTH_BYTES], "big")
    end = start + length
    if data[start] != _R.LENGTH or length <= _HEAD_BYTES + _LENGTH_BYTES or end > len(data):
        raise CtlError(f"the CTL file is damaged at byte {start}")
    values = {tag: value for _unused, tag, value in _elements(data, start, end)}
    try:
        certificate = x509.load_der_x509_certificate(values[_R.CERTIFICATE])
        role = int.from_bytes(values[_R.ROLE], "big")
    except (KeyError, ValueError, x509.InvalidVersion):
        raise CtlError(f"the record at byte {start} has no readable certificate and role") from None
    name = values.get(_R.DNS_NAME)
    return Record(role, certificate, None if name is None else name.rstrip(b"\0").decode(errors="replace")), end


def read(data: bytes) -> CtlFile:
    """Parse a file; CtlError if it is damaged. The signature is not checked here."""
    if len(data) > MAXIMUM_BYTES or len(data) < 2 * (_HEAD_BYTES + _LENGTH_BYTES) or data[0] != _H.VERSION:
        raise CtlError("not a CTL file")
    end = int.from_bytes(data[8:10], "big")
    if end > len(data):
        raise CtlError("the CTL file's header exceeds the file")
    header: dict[int, bytes] = {}
    signed = data
    for position, tag, value in _header(data, 0, end):
        header[tag] = value
        if tag == _H.SIGNATURE:
            signed = data[:position] + data[position + _HEAD_BYTES + len(value) :]
    records, position = [], end
    while position < len(data):
        record, position = _read_record(data, position)
        records.append(record)
    return _file(header, tuple(records), signed)


def _file(header: dict[int, bytes], records: tuple[Record, ...], signed: bytes) -> CtlFile:
    try:
        major, minor = header[_H.SIGNER_VERSION]
        return CtlFile(
            records=records,
            digest=Digest(header[_H.HASH_ALGORITHM][0]),
            signer_version=(major, minor),
            signer_name=header[_H.SIGNER_NAME].rstrip(b"\0").decode(),
            signer_serial=int.from_bytes(header[_H.SERIAL_NUMBER], "big"),
            file_name=header[_H.FILE_NAME].rstrip(b"\0").decode(),
            timestamp=int.from_bytes(header[_H.TIMESTAMP], "big"),
            signature=header[_H.SIGNATURE],
            signed=signed,
        )
    except (KeyError, ValueError, IndexError):
        raise CtlError("the CTL file's header is incomplete") from None
