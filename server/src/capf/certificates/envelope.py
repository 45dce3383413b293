# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signed envelope of the files that phones fetch: made, read and verified (docs/phone-files.md).

A file is a header with the signature, and its content, unchanged. CTL and ITL files begin with the same header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from capf.certificates.signatures import MODULUS_CODES, Digest, SigningKey, fits
from capf.model import CapfError

SUFFIX = ".sgn"
SIGNED, ENCRYPTED, LIST = (1, 0), (2, 0), (1, 2)
"""Versions of the header: a signed file, an encrypted one, a CTL or ITL file."""
HEAD_BYTES, LENGTH_BYTES = 3, 2
MAXIMUM_HEADER_BYTES = 0xFFFF
_PADDING = 0x0D
_ALIGNMENT = 4
_START = re.compile(rb"\x01\x00\x02(..)\x02\x00\x02(..)", re.DOTALL)
_JOINS = re.compile("[,;]")


class EnvelopeError(CapfError):
    """The bytes are not a signed file, or its signature is invalid; the message says what is wrong."""


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
    ENCRYPTION_INFO = 16
    CIPHER_INFO = 17
    KEY_INFO = 21
    KEY_BITS = 23
    SIGNER_VERSION = 28


_CONTAINERS = (
    _H.SIGNER_INFO,
    _H.SIGNATURE_INFO,
    _H.SIGNATURE_ALGORITHM_INFO,
    _H.ENCRYPTION_INFO,
    _H.CIPHER_INFO,
    _H.KEY_INFO,
)


@dataclass(frozen=True, slots=True)
class Label:
    """What a header says about its file, apart from the signer.

    ``timestamp`` is the time of signing in epoch seconds. ``signer_version`` is only in CTL and ITL files.
    ``encryption`` are the elements of an encrypted file from tag 16 on, with their heads.
    """

    file_name: str
    timestamp: int
    version: tuple[int, int] = SIGNED
    signer_version: tuple[int, int] | None = None
    encryption: bytes = b""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A file as it was read. ``signed`` are the bytes that the signature covers; ``verify`` checks it.

    ``key_bits`` is the size of the phone's key for which an encrypted file was made, None in other files.
    """

    label: Label
    digest: Digest
    signer_name: str
    issuer_name: str
    serial_number: int
    signature: bytes
    signed: bytes
    content: bytes
    key_bits: int | None = None

    def is_signed_by(self, certificate: x509.Certificate) -> bool:
        """Return whether this certificate's key made the signature, whatever name the header has."""
        key = None
        with suppress(ValueError, UnsupportedAlgorithm):  # reading a certificate does not check its key
            key = certificate.public_key()
        return fits(key, self.signature, self.signed, self.digest)


def element(tag: int, value: bytes) -> bytes:
    """Return an element: tag, length, value."""
    return bytes((tag,)) + len(value).to_bytes(LENGTH_BYTES, "big") + value


def text(value: str) -> bytes:
    """Return a text as an element has it, ended by a NUL."""
    return value.encode() + b"\0"


def number(value: int) -> bytes:
    """Return a number in as few bytes as it needs."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def name_text(name: x509.Name) -> str:
    """Return a name in the form of these files: in the certificate's order, parts joined by commas."""
    return ",".join(attribute.rfc4514_string() for attribute in name)


def make(content: bytes, label: Label, signer: SigningKey) -> bytes:
    """Return a signed file with this content. The same arguments always give the same bytes.

    EnvelopeError if the header would exceed its 65,535 bytes; SigningKeyError if the key is too short.
    """
    before, after = _before_signature(label, signer), _after_signature(label)
    version = element(_H.VERSION, bytes(label.version))
    length = len(version) + HEAD_BYTES + LENGTH_BYTES + len(before) + HEAD_BYTES + signer.size + len(after)
    fill = -length % _ALIGNMENT
    if length + fill > MAXIMUM_HEADER_BYTES:
        raise EnvelopeError(f"its header has {length + fill} bytes; allowed: at most {MAXIMUM_HEADER_BYTES}")
    first = version + element(_H.HEADER_LENGTH, (length + fill).to_bytes(2, "big")) + before
    rest = after + bytes((_PADDING,)) * fill + content
    return first + element(_H.SIGNATURE, signer.sign(first + rest)) + rest


def _before_signature(label: Label, signer: SigningKey) -> bytes:
    certificate = signer.certificate
    names = (
        element(_H.SIGNER_NAME, text(name_text(certificate.subject)))
        + element(_H.ISSUER_NAME, text(name_text(certificate.issuer)))
        + element(_H.SERIAL_NUMBER, number(certificate.serial_number))
    )
    modulus = element(_H.SIGNATURE_MODULUS, bytes((MODULUS_CODES[signer.size],)))
    algorithm = element(_H.SIGNATURE_ALGORITHM, b"\0") + modulus
    digest = element(_H.HASH_ALGORITHM, bytes((signer.digest,)))
    return (
        (b"" if label.signer_version is None else element(_H.SIGNER_VERSION, bytes(label.signer_version)))
        + element(_H.SIGNER_INFO, names)
        + element(_H.SIGNATURE_INFO, digest + element(_H.SIGNATURE_ALGORITHM_INFO, algorithm))
    )


def _after_signature(label: Label) -> bytes:
    timestamp = element(_H.TIMESTAMP, label.timestamp.to_bytes(4, "big"))
    return element(_H.FILE_NAME, text(label.file_name)) + timestamp + label.encryption


def read(data: bytes, what: str = "signed file") -> Envelope:
    """Read a file of any version; EnvelopeError if it is damaged, where ``what`` names the kind of file.

    The signature is not checked here.
    """
    start = _START.match(data)
    if start is None:
        raise EnvelopeError(f"not a {what}")
    end = int.from_bytes(start[2], "big")
    if end > len(data):
        raise EnvelopeError(f"the {what}'s header exceeds the file")
    header, places, last = dict[int, bytes](), dict[int, int](), 0
    for position, tag, value in _header(data, end, what):
        header[tag], places[tag] = value, position
        last = position + HEAD_BYTES + len(value)
    try:
        return _envelope(data, (last, end), header, places)
    except (KeyError, ValueError, IndexError):
        raise EnvelopeError(f"the {what}'s header is incomplete") from None


def elements(data: bytes, start: int, end: int, what: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield (position, tag, value); EnvelopeError if a length exceeds the data."""
    position = start
    while position < end:
        first = position + HEAD_BYTES
        last = first + int.from_bytes(data[position + 1 : first], "big")
        if first > end or last > end:
            raise EnvelopeError(f"the {what} is damaged at byte {position}")
        yield position, data[position], data[first:last]
        position = last


def _header(data: bytes, end: int, what: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield the header's elements, including nested ones. Padding is single bytes without a length."""
    position = 0
    while position < end:
        tag = data[position]
        if tag == _PADDING:
            position += 1
            continue
        if tag in _CONTAINERS:
            yield position, tag, b""
            position += HEAD_BYTES
            continue
        value = _value(data, position, end, what)
        yield position, tag, value
        position += HEAD_BYTES + len(value)


def _value(data: bytes, position: int, end: int, what: str) -> bytes:
    """Return the value of the element at a position."""
    return next(elements(data, position, end, what))[2]


def _envelope(data: bytes, ends: tuple[int, int], header: dict[int, bytes], places: dict[int, int]) -> Envelope:
    """Return a file whose header's last element and padding end at ``ends``."""
    major, minor = header[_H.VERSION]
    signature, place = header[_H.SIGNATURE], places[_H.SIGNATURE]
    if MODULUS_CODES[len(signature)] != header[_H.SIGNATURE_MODULUS][0]:
        raise ValueError
    after_signature = place + HEAD_BYTES + len(signature)
    versions = header.get(_H.SIGNER_VERSION)
    encrypted = places.get(_H.ENCRYPTION_INFO)
    bits = header.get(_H.KEY_BITS)
    label = Label(
        file_name=_words(header[_H.FILE_NAME]),
        timestamp=int.from_bytes(header[_H.TIMESTAMP], "big"),
        version=(major, minor),
        signer_version=None if versions is None else (versions[0], versions[1]),
        encryption=b"" if encrypted is None else data[encrypted : ends[0]],
    )
    return Envelope(
        label=label,
        digest=Digest(header[_H.HASH_ALGORITHM][0]),
        signer_name=_words(header[_H.SIGNER_NAME]),
        issuer_name=_words(header[_H.ISSUER_NAME]),
        serial_number=int.from_bytes(header[_H.SERIAL_NUMBER], "big"),
        signature=signature,
        signed=data[:place] + data[after_signature:],
        content=data[ends[1] :],
        key_bits=None if bits is None else int.from_bytes(bits, "big"),
    )


def _words(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


def verify(file: Envelope, trusted: Iterable[x509.Certificate]) -> x509.Certificate:
    """Return the certificate among ``trusted`` that signed the file; EnvelopeError says why there is none.

    A header names its signer by issuer and serial number. Servers join the parts of a name by commas or semicolons,
    so the names are compared without regard to that.
    """
    signer = f"{file.signer_name!r} (serial number {file.serial_number:x})"
    named = [item for item in trusted if _is_named(file, item)]
    if not named:
        raise EnvelopeError(f"the file names {signer} as its signer, which is not among the trusted certificates")
    for certificate in named:
        if file.is_signed_by(certificate):
            return certificate
    raise EnvelopeError(f"the signature is invalid: the file was changed, or {signer} did not sign it")


def _is_named(file: Envelope, certificate: x509.Certificate) -> bool:
    issuer = _JOINS.split(file.issuer_name)
    return certificate.serial_number == file.serial_number and issuer == _JOINS.split(name_text(certificate.issuer))
