# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outer format of an archive: encrypted with a passphrase, or plain. In both, every changed bit is detected.

Encrypted: a header (scrypt's cost and a salt) and chunks of AES-256-GCM. The nonce of a chunk consists of its number
and a flag for the last chunk. This is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, CRYPTO 2015): no chunk can be changed, omitted,
repeated or moved, and the archive cannot be truncated. Each archive has a random salt, hence a unique key, so no nonce
is used twice with the same key.

Plain: gzip that any tar can read, then an empty gzip member with the SHA-256 of everything before it as its comment.
That detects damage; it does not authenticate the archive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from capf.model import HIDDEN, CapfError, InvalidRequestError, Problem

MINIMUM_PASSPHRASE = 12
COST = 16
"""log2 of scrypt's N: 64 MiB and about a fifth of a second (with r = 8 and p = 2, as OWASP recommends)."""
_COSTS = range(1, COST + 1)
"""The maximum cost that is accepted from an archive: it is not authenticated yet, and must not exhaust memory."""
_BLOCK, _PARALLEL, _KEY_BYTES, _SALT_BYTES = 8, 2, 32, 16
_MAGIC = b"capf backup 1\n"
_CHUNK, _TAG = 1 << 16, 16
_GZIP = b"\x1f\x8b"
Pieces = Callable[[], Iterator[bytes]]
"""Each call yields an archive's content from its beginning."""


class _Encrypted:
    """Encrypts data that is written to it."""

    def __init__(self, target: BinaryIO, passphrase: str, cost: int) -> None:
        self._target, self._number, self._held = target, 0, bytearray()
        self._header = _MAGIC + bytes((cost,)) + os.urandom(_SALT_BYTES)
        self._cipher = _cipher(passphrase, self._header)
        target.write(self._header)

    def write(self, data: bytes) -> int:
        """Encrypt data. The latest chunk is buffered until it is known whether it is the last one."""
        self._held += data
        while len(self._held) > _CHUNK:
            self._put(bytes(self._held[:_CHUNK]), last=False)
            del self._held[:_CHUNK]
        return len(data)

    def flush(self) -> None:
        """Do nothing: the buffered chunk is not complete."""

    def finish(self) -> None:
        """Write the last chunk; without it the archive is refused."""
        self._put(bytes(self._held), last=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._number, last), chunk, self._header))
        self._number += 1


class _Plain:
    """Writes data unchanged, and its digest at the end."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._digest = target, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Take data."""
        self._digest.update(data)
        return self._target.write(data)

    def flush(self) -> None:
        """Do nothing: no data is buffered."""

    def finish(self) -> None:
        """Write the digest; without it the archive is refused."""
        self._target.write(_trailer(self._digest.hexdigest()))


def sealed(target: BinaryIO, passphrase: str | None, cost: int = COST) -> _Encrypted | _Plain:
    """Return a file that writes an archive's outer format to ``target``; without a passphrase, the plain format.

    InvalidRequestError for a passphrase that is too short. ``cost`` is log2 of scrypt's N.
    """
    if passphrase is None:
        return _Plain(target)
    if len(passphrase) < MINIMUM_PASSPHRASE:
        message = f"the passphrase is too short; give at least {MINIMUM_PASSPHRASE} characters in its first line"
        raise InvalidRequestError([Problem("passphrase", HIDDEN, message)])
    return _Encrypted(target, passphrase, cost)


def opened(source: BinaryIO, passphrase: str | None) -> Pieces:
    """Return a reader of an archive's content, all of which has been authenticated when this returns.

    CapfError if anything in it was changed, or if its format does not match the passphrase: a caller with a passphrase
    never gets a plain archive, because anybody could have forged it.
    """
    pieces = _opened(source, passphrase)
    for _piece in pieces():
        pass
    return pieces


def _opened(source: BinaryIO, passphrase: str | None) -> Pieces:
    magic = source.read(len(_MAGIC))
    if magic == _MAGIC:
        if passphrase is None:
            raise CapfError("it is encrypted; give its passphrase")
        return _decrypted(source, passphrase)
    if not magic.startswith(_GZIP):
        raise CapfError("it is not a backup of a CAPF server")
    if passphrase is not None:
        raise CapfError("it is not encrypted, although a passphrase was given; only a plain restore accepts it")
    return partial(_plain_pieces, source)


def _decrypted(source: BinaryIO, passphrase: str) -> Pieces:
    header = _MAGIC + source.read(1 + _SALT_BYTES)
    if len(header) < len(_MAGIC) + 1 + _SALT_BYTES or header[len(_MAGIC)] not in _COSTS:
        raise CapfError("its header is damaged")
    return partial(_decrypted_pieces, source, _cipher(passphrase, header), header)


def _decrypted_pieces(source: BinaryIO, cipher: AESGCM, header: bytes) -> Iterator[bytes]:
    source.seek(len(header))
    number, last, following = 0, False, source.read(_CHUNK + _TAG)
    while not last:
        chunk, following = following, source.read(_CHUNK + _TAG)
        last = not following
        try:
            yield cipher.decrypt(_nonce(number, last), chunk, header)
        except InvalidTag:
            where = f"near byte {len(header) + number * (_CHUNK + _TAG)}" if number else "or this is not its passphrase"
            raise CapfError(f"it is damaged or was changed, {where}") from None
        number += 1


def _plain_pieces(source: BinaryIO) -> Iterator[bytes]:
    """Yield the content after checking the digest at its end."""
    size = source.seek(0, os.SEEK_END) - len(_trailer(hashlib.sha256().hexdigest()))
    digest = hashlib.sha256()
    for piece in _read(source, size):
        digest.update(piece)
    if source.read() != _trailer(digest.hexdigest()):
        raise CapfError("it is damaged or incomplete: its SHA-256 does not match")
    yield from _read(source, size)


def _read(source: BinaryIO, size: int) -> Iterator[bytes]:
    source.seek(0)
    while piece := source.read(min(_CHUNK, max(size, 0))):
        size -= len(piece)
        yield piece


def _cipher(passphrase: str, header: bytes) -> AESGCM:
    cost, salt = header[len(_MAGIC)], header[len(_MAGIC) + 1 :]
    scrypt = Scrypt(salt=salt, length=_KEY_BYTES, n=1 << cost, r=_BLOCK, p=_PARALLEL)
    return AESGCM(scrypt.derive(passphrase.encode()))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((last,))


def _trailer(digest: str) -> bytes:
    """Return an empty gzip member (RFC 1952) with a comment."""
    head = _GZIP + b"\x08\x10" + bytes(4) + b"\x00\xff"
    return head + digest.encode() + b"\0" + b"\x03\x00" + bytes(8)
