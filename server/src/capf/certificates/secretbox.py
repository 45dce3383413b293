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
"""All strings of 8 digits that do not begin with 0, which a spreadsheet would drop."""


class UnreadableError(CapfError):
    """A secret was encrypted with another key or for another owner, or its bytes were changed."""


class SecretBox:
    """Encrypts and decrypts short secrets; ``context`` (the device name) binds a secret to its owner."""

    def __init__(self, key: bytes) -> None:
        """ValueError where the key has not ``KEY_BYTES``."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes")
        self._cipher = AESGCM(key)
        self._decoy = self.encrypt(generate_string(), "")

    def encrypt(self, secret: str, context: str) -> bytes:
        """Return the secret, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), context.encode())

    def decrypt(self, data: bytes, context: str) -> str:
        """Return the secret; UnreadableError where key, data or context are not those of its encryption."""
        try:
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise UnreadableError("the secret was not encrypted with this server's strings.key") from None

    def read(self, data: bytes, context: str) -> str | None:
        """Return the secret, None where it cannot be decrypted."""
        try:
            return self.decrypt(data, context)
        except UnreadableError:
            return None

    def decoy(self) -> str:
        """Return a string that nobody knows, at the cost of a ``decrypt``."""
        return self.decrypt(self._decoy, "")


class MissingSecretBox(SecretBox):
    """Stands for a key that cannot be used: nothing is encrypted, and nothing that is stored can be read."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def encrypt(self, secret: str, context: str) -> Never:
        """Raise DamagedError with the fault of the key."""
        raise DamagedError(self.fault)

    def decrypt(self, data: bytes, context: str) -> Never:
        """Raise UnreadableError."""
        raise UnreadableError(str(self.fault))

    def decoy(self) -> str:
        """Return a string that nobody knows."""
        return generate_string()


def generate_string() -> str:
    """Return a new authentication string of 8 digits that does not begin with 0 (R26 allows 4 to 10 digits)."""
    return str(secrets.choice(_GENERATED))
