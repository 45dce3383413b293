# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Assembles the DER of an LSC; parts that are the same in every LSC of an issuer are encoded only once (R2).

``lint`` parses the result with the library's parser and checks it independently of this file.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS, _UTF8 = 0x30, 0x31, 0x02, 0x03, 0x04, 0x0C
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION_3 = bytes.fromhex("a003020102")
_SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
_COMMON_NAME = bytes.fromhex("0603550403")
_EXTENSIONS = 0xA3
_TRUE = bytes.fromhex("0101ff")
_SHORT_LENGTH = 0x80
_FIRST_GENERALIZED_YEAR = 2050
_SUBJECT_PARTS = (
    NameOID.COUNTRY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
)
PURPOSES = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),  # IPSec End System
)


def usage(*, sign: bool = False, encipher: bool = False) -> x509.KeyUsage:
    """Return a key usage: digital signature and the given ones."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def subject_parts(issuer: x509.Name) -> list[x509.NameAttribute[str | bytes]]:
    """Return the part of the issuer's name that an LSC's subject shares: everything except the common name."""
    parts = {attribute.oid: attribute for attribute in issuer}
    return [parts[oid] for oid in _SUBJECT_PARTS if oid in parts]


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    if length < _SHORT_LENGTH:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_LENGTH | len(size))) + size + content


def _extension(number: int, value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    """Return an extension of the arc 2.5.29."""
    identifier = bytes((0x06, 0x03, 0x55, 0x1D, number))
    return _der(_SEQUENCE, identifier, _TRUE if critical else b"", _der(_OCTETS, value.public_bytes()))


@lru_cache(maxsize=8)
def _time(moment: datetime) -> bytes:
    if moment.year < _FIRST_GENERALIZED_YEAR:
        return _der(_UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return _der(_GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


class Profile:
    """The LSCs of one issuer."""

    def __init__(self, issuer: x509.Certificate, key_id: bytes) -> None:
        self._issuer = issuer.subject.public_bytes()
        parts = subject_parts(issuer.subject)
        self._subject_parts = b"".join(x509.Name([part]).public_bytes()[2:] for part in parts)
        constraints = _extension(19, x509.BasicConstraints(ca=False, path_length=None), critical=True)
        purposes = _extension(37, x509.ExtendedKeyUsage(PURPOSES))
        self._before_key = {
            ec: constraints + _extension(15, usage(encipher=not ec), critical=True) + purposes for ec in (False, True)
        }
        self._after_key = _extension(35, x509.AuthorityKeyIdentifier(key_id, None, None))

    def to_be_signed(
        self, device_name: str, serial: int, start: datetime, end: datetime, key: bytes, *, key_id: bytes, ec: bool
    ) -> bytes:
        """Return the TBSCertificate for ``key`` (SubjectPublicKeyInfo) with its ``key_id``."""
        name = _der(_SEQUENCE, _COMMON_NAME, _der(_UTF8, device_name.encode()))
        subject_key = _extension(14, x509.SubjectKeyIdentifier(key_id))
        return _der(
            _SEQUENCE,
            _VERSION_3,
            _der(_INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
            _SHA256_WITH_RSA,
            self._issuer,
            _der(_SEQUENCE, _time(start), _time(end)),
            _der(_SEQUENCE, self._subject_parts, _der(_SET, name)),
            key,
            _der(_EXTENSIONS, _der(_SEQUENCE, self._before_key[ec], subject_key, self._after_key)),
        )


def certificate(to_be_signed: bytes, signature: bytes) -> bytes:
    """Return the whole certificate."""
    return _der(_SEQUENCE, to_be_signed, _SHA256_WITH_RSA, _der(_BITS, b"\0", signature))
