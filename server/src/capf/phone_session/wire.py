# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF wire protocol: numbers, messages, and a bounded reader and writer (docs/protocol.md).

No input or output happens here. Bytes become a Message, "need more", or a WireError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

PROTOCOL_ID = 0x55
HEADER_BYTES = 8
_TYPE_BYTES = 2
_LONGEST_VALUE = 0xFFFF
MAXIMUM_PAYLOAD = 16384
"""The longest payload seen in the field is under 4 KiB (LSC and SUDI data); the bound leaves room."""


class WireError(ValueError):
    """The bytes are not a valid CAPF message."""


class Command(IntEnum):
    """Message commands."""

    AUTH_REQUEST = 1
    AUTH_RESPONSE = 2
    KEY_GENERATE_REQUEST = 3
    KEY_GENERATE_RESPONSE = 4
    ENCRYPT_RESPONSE = 5
    ENCRYPT_REQUEST = 6
    DECRYPT_REQUEST = 7
    DECRYPT_RESPONSE = 8
    STORE_CERTIFICATE_REQUEST = 9
    STORE_CERTIFICATE_RESPONSE = 10
    FETCH_CERTIFICATE_REQUEST = 11
    FETCH_CERTIFICATE_RESPONSE = 12
    DELETE_CERTIFICATE_REQUEST = 13
    DELETE_CERTIFICATE_RESPONSE = 14
    END_SESSION = 15
    RETRY_LATER = 16
    REQUEST_IN_PROGRESS = 17
    STATUS_REQUEST = 18
    STATUS_RESPONSE = 19
    ABORT_REQUEST = 20
    ABORT_RESPONSE = 21
    SIGN_CERTIFICATE_REQUEST = 22
    SIGN_CERTIFICATE_RESPONSE = 23


class Tag(IntEnum):
    """Element tags."""

    REASON = 1
    REASON_INFO = 2
    CERTIFICATE_TYPE = 3
    CERTIFICATE = 4
    CERTIFICATE_ID = 5
    SIGNED_DATA = 6
    VERSION = 7
    AUTH_TYPE = 8
    PUBLIC_KEY = 9
    KEY_SIZE = 10
    PASSWORD = 11
    RETRY_DELAY = 12
    DEVICE_NAME = 13
    SUDI_DATA = 16
    KEY_TYPE = 17
    CURVE = 18
    DIGEST_TYPE = 19
    SHA2_SIGNED_DATA = 20


_KNOWN_TAGS = frozenset(Tag)


class Reason(IntEnum):
    """Known reasons; others are kept as numbers."""

    NO_ACTION = 0
    SUCCESS = 1
    REJECTED = 7
    UNKNOWN_DEVICE = 9


class CertificateType(IntEnum):
    """The type of a phone's certificate."""

    LSC = 1
    MIC = 2


class KeyType(IntEnum):
    """The type of key that the phone has to generate."""

    RSA = 0
    EC = 1


class DigestType(IntEnum):
    """Digest of a signature."""

    SHA1 = 1
    SHA256 = 2
    SHA512 = 3


CURVE_OF_BITS = {256: 0, 384: 1, 521: 2}
BITS_OF_CURVE = {curve: bits for bits, curve in CURVE_OF_BITS.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the command, the session id and the elements by tag; of an unknown tag the first is kept."""

    command: Command
    session_id: int
    elements: Mapping[int, bytes]

    def number(self, tag: Tag) -> int | None:
        """Return the element as a number (big-endian), None if it is absent; WireError if it is not a number."""
        value = self.elements.get(tag)
        if value is None:
            return None
        if len(value) not in (1, 2, 4):
            raise WireError(f"{tag.name} has {len(value)} bytes; 1, 2 or 4 are allowed")
        return int.from_bytes(value, "big")

    def text(self, tag: Tag) -> str | None:
        """Return a NUL-terminated ASCII string, None if absent; WireError for anything else."""
        value = self.elements.get(tag)
        if value is None:
            return None
        if not value.endswith(b"\0") or b"\0" in value[:-1] or not value.isascii():
            raise WireError(f"{tag.name} is not an ASCII string with one NUL at its end")
        return value[:-1].decode("ascii")


def _runs(data: bytes, what: str) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, value) of each ``tag (1) · length (2) · value``; WireError if a length exceeds the data."""
    position = 0
    while position < len(data):
        start = position + 3
        end = start + int.from_bytes(data[position + 1 : start], "big")
        if start > len(data) or end > len(data):
            raise WireError(f"{what} is cut off at byte {position}")
        yield data[position], data[start:end]
        position = end


def element(tag: int, value: bytes) -> bytes:
    """Return one ``tag · length · value``; WireError if the value is too long for its length field."""
    if len(value) > _LONGEST_VALUE:
        raise WireError(f"element {tag} has {len(value)} bytes; {_LONGEST_VALUE} are allowed")
    return bytes((tag,)) + len(value).to_bytes(2, "big") + value


def encode(message: Message) -> bytes:
    """Return the message's bytes, elements in the order of their tags (as the recorded sessions have it)."""
    payload = b"".join(element(tag, message.elements[tag]) for tag in sorted(message.elements))
    if len(payload) > MAXIMUM_PAYLOAD:
        raise WireError(f"payload has {len(payload)} bytes; {MAXIMUM_PAYLOAD} are allowed")
    head = bytes((PROTOCOL_ID, message.command)) + message.session_id.to_bytes(4, "big")
    return head + len(payload).to_bytes(2, "big") + payload


class Reader:
    """Collects bytes, however they are split, and returns complete messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def next_message(self) -> Message | None:
        """Return the next complete message, None if more bytes are needed; WireError as soon as they are invalid."""
        buffer = self._buffer
        if buffer and buffer[0] != PROTOCOL_ID:
            raise WireError(f"protocol id is {buffer[0]:#04x}; {PROTOCOL_ID:#04x} is allowed")
        if len(buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(buffer[6:8], "big")
        if length > MAXIMUM_PAYLOAD:
            raise WireError(f"payload has {length} bytes; {MAXIMUM_PAYLOAD} are allowed")
        if len(buffer) < HEADER_BYTES + length:
            return None
        whole = bytes(buffer[: HEADER_BYTES + length])
        del buffer[: HEADER_BYTES + length]
        return _parse(whole)


def _parse(data: bytes) -> Message:
    try:
        command = Command(data[1])
    except ValueError:
        raise WireError(f"command {data[1]} is unknown") from None
    elements: dict[int, bytes] = {}
    for tag, value in _runs(data[HEADER_BYTES:], "payload"):
        if tag not in elements:
            elements[tag] = value
        elif tag in _KNOWN_TAGS:
            raise WireError(f"duplicate element {tag}")
    return Message(command, int.from_bytes(data[2:6], "big"), elements)


def decode(data: bytes) -> Message:
    """Return the message in ``data``; WireError unless it is exactly one message."""
    reader = Reader()
    reader.feed(data)
    message = reader.next_message()
    if message is None or len(data) != HEADER_BYTES + int.from_bytes(data[6:8], "big"):
        raise WireError("not exactly one message")
    return message


def string(text: str) -> bytes:
    """Return the text as a NUL-terminated ASCII string."""
    return text.encode("ascii") + b"\0"


def pack_certificates(certificates: tuple[tuple[int, bytes], ...]) -> bytes:
    """Return the CERTIFICATE package of (certificate type, DER) pairs."""
    return b"".join(element(1, kind.to_bytes(2, "big") + der) for kind, der in certificates)


def unpack_certificates(package: bytes) -> tuple[tuple[int, bytes], ...]:
    """Return the (certificate type, DER) pairs of a CERTIFICATE package; WireError if it is damaged."""
    found = []
    for tag, value in _runs(package, "certificate package"):
        if tag != 1 or len(value) <= _TYPE_BYTES:
            raise WireError("certificate package has an entry that is not a certificate")
        found.append((int.from_bytes(value[:_TYPE_BYTES], "big"), value[_TYPE_BYTES:]))
    return tuple(found)


def pack_sha2(digest: DigestType, signature: bytes) -> bytes:
    """Return SHA2_SIGNED_DATA."""
    return element(digest, signature)


def unpack_sha2(data: bytes) -> tuple[int, bytes]:
    """Return (digest type, signature) of SHA2_SIGNED_DATA; WireError if it is damaged."""
    runs = list(_runs(data, "SHA2_SIGNED_DATA"))
    if len(runs) != 1:
        raise WireError("SHA2_SIGNED_DATA does not contain exactly one signature")
    return runs[0]


@dataclass(frozen=True, slots=True)
class Sudi:
    """SUDI_DATA: the MIC and its two signatures over the session."""

    mic: bytes
    sha1_signature: bytes
    sha512_signature: bytes


def pack_sudi(sudi: Sudi) -> bytes:
    """Return SUDI_DATA."""
    return element(0, sudi.mic) + element(1, sudi.sha1_signature) + element(3, sudi.sha512_signature)


def unpack_sudi(data: bytes) -> Sudi:
    """Return the parts of SUDI_DATA; WireError if one is missing or unknown."""
    parts = dict(_runs(data, "SUDI_DATA"))
    if sorted(parts) != [0, 1, 3]:
        raise WireError("SUDI_DATA does not contain a certificate and its two signatures")
    return Sudi(parts[0], parts[1], parts[3])
