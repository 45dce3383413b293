# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""RSA signatures of the files that phones fetch: their digests, the sizes of keys, and the key that signs."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from capf.model import CapfError

MODULUS_CODES = {64: 0, 128: 1, 256: 2, 512: 3}
"""The number by which a file's header names the size of its signature, by bytes."""
MODULUS_BITS = tuple(8 * size for size in MODULUS_CODES)
_MOST_KEPT = 50_000


class SigningKeyError(CapfError):
    """A key that cannot sign files for phones; the message says why."""


class Digest(IntEnum):
    """Digest of a file's signature, with its number in the header."""

    SHA1 = 1
    SHA256 = 2
    SHA512 = 3


DIGEST_NAMES = {Digest.SHA1: "SHA-1", Digest.SHA256: "SHA-256", Digest.SHA512: "SHA-512"}
"""The names of digests for people and in requests."""
HASHES: dict[Digest, Callable[[], hashes.HashAlgorithm]] = {
    Digest.SHA1: hashes.SHA1,
    Digest.SHA256: hashes.SHA256,
    Digest.SHA512: hashes.SHA512,
}


class KeptSignatures:
    """Signatures by the bytes that they sign, so that unchanged content is signed once; the oldest are dropped.

    One signature takes about 500 bytes of memory. Threads may share it.
    """

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of signatures."""
        return len(self._kept)

    def get(self, signed: Sequence[bytes], make: Callable[[], bytes]) -> bytes:
        """Return the signature that was kept for these bytes, or keep the one that ``make`` returns."""
        name = hashlib.sha256(b"".join(signed)).digest()
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        signature = make()
        with self._lock:
            self._kept[name] = signature
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return signature


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A certificate that phones trust, its private key, and the digest that they can check.

    ``kept`` remembers signatures; without it, each one is computed. SigningKeyError for a key of a size that has no
    number in a file's header.
    """

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False, compare=False)
    digest: Digest
    kept: KeptSignatures | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size not in MODULUS_CODES:
            allowed = ", ".join(map(str, MODULUS_BITS))
            raise SigningKeyError(f"a key that signs files for phones has {self.key.key_size} bits; allowed: {allowed}")

    @property
    def size(self) -> int:
        """The number of bytes of a signature."""
        return self.key.key_size // 8

    def sign(self, data: bytes) -> bytes:
        """Return the signature (PKCS #1 v1.5) of ``data``; SigningKeyError if the key is too short for the digest."""
        if self.kept is None:
            return self._computed(data)
        identity = self.certificate.fingerprint(hashes.SHA256())
        return self.kept.get((identity, bytes((self.digest,)), data), lambda: self._computed(data))

    def _computed(self, data: bytes) -> bytes:
        try:
            return self.key.sign(data, padding.PKCS1v15(), HASHES[self.digest]())
        except ValueError:
            name = HASHES[self.digest]().name.upper()
            raise SigningKeyError(
                f"a key of {self.key.key_size} bits is too short for a signature with {name}"
            ) from None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The key with which to sign, None without one, and its source: the CTL file and the certificate, as stored."""

    source: tuple[bytes, str]
    key: SigningKey | None


def fits(key: object, signature: bytes, data: bytes, digest: Digest) -> bool:
    """Return whether ``key`` is an RSA key that made this signature of ``data``."""
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, data, padding.PKCS1v15(), HASHES[digest]())
    except InvalidSignature:
        return False
    return True
