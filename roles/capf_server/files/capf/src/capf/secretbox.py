"""Authentication strings at rest: encrypted with a key that is not in the database (R14)."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_GENERATED = range(10_000_000, 100_000_000)
"""All strings of 8 digits that do not begin with 0, which a spreadsheet would drop."""


class SecretBox:
    """Encrypts and decrypts short secrets; ``context`` (the device name) binds a secret to its owner."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._decoy = self.encrypt(generate_string(), "")

    def encrypt(self, secret: str, context: str) -> bytes:
        """Return the secret, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), context.encode())

    def decrypt(self, data: bytes, context: str) -> str:
        """Return the secret; cryptography's InvalidTag when data or context were changed."""
        return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode()).decode()

    def decoy(self) -> str:
        """Return a string that nobody knows, at the cost of a ``decrypt``."""
        return self.decrypt(self._decoy, "")


def generate_string() -> str:
    """Return a new authentication string of 8 digits that does not begin with 0 (R26 allows 4 to 10 digits)."""
    return str(secrets.choice(_GENERATED))
