# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication strings at rest: encrypted with a key that is not in the database (R14)."""

from __future__ import annotations

import secrets
from typing import Never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from capf.model import CapfError, DamagedError, Fault

KEY_BYTES = 32
_NONCE_BYTES = 12
_GENERATED = range(10_000_000, 100_000_000)
"""All strings of 8 digits that do not begin with 0, because spreadsheets drop a leading 0."""


class UnreadableError(CapfError):
    """A secret was encrypted with a different key or for a different owner, or its bytes were changed."""


class SecretBox:
    """Encrypts and decrypts short secrets; ``context`` (the device name) binds a secret to its owner."""

    def __init__(self, key: bytes) -> None:
        """Raise ValueError unless the key has ``KEY_BYTES``."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes")
        self._cipher = AESGCM(key)
        self._decoy = self.encrypt(generate_string(), "")

    def encrypt(self, secret: str, context: str) -> bytes:
        """Return the secret, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), context.encode())

    def decrypt(self, data: bytes, context: str) -> str:
        """Return the secret; UnreadableError if key, data or context differ from those of the encryption."""
        try:
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise UnreadableError("the secret was not encrypted with this server's strings.key") from None

    def read(self, data: bytes, context: str) -> str | None:
        """Return the secret, None if it cannot be decrypted."""
        try:
            return self.decrypt(data, context)
        except UnreadableError:
            return None

    def decoy(self) -> str:
        """Return an unpredictable string, in the time of a ``decrypt``."""
        return self.decrypt(self._decoy, "")


class MissingSecretBox(SecretBox):
    """Placeholder for an unusable key: it encrypts and decrypts nothing."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def encrypt(self, secret: str, context: str) -> Never:
        """Raise DamagedError with the fault of the key."""
        raise DamagedError(self.fault)

    def decrypt(self, data: bytes, context: str) -> Never:
        """Raise UnreadableError."""
        raise UnreadableError(str(self.fault))

    def decoy(self) -> str:
        """Return an unpredictable string."""
        return generate_string()


def generate_string() -> str:
    """Return a new authentication string of 8 digits that does not begin with 0 (R26 allows 4 to 10 digits)."""
    return str(secrets.choice(_GENERATED))
