"""The administrator's password: scrypt at rest, and quick to check again (R17: one account for the cluster)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from threading import Lock

_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16
_REMEMBERED = 64


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)


def hash_password(password: str) -> str:
    """Return the text that the database keeps of a password."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return "scrypt$" + "$".join(base64.b64encode(part).decode() for part in (salt, _scrypt(password, salt)))


def password_is_right(password: str, kept: str) -> bool:
    """Check a password against what ``hash_password`` returned; takes about 50 ms of one core."""
    _unused, salt, wanted = kept.split("$")
    return hmac.compare_digest(_scrypt(password, base64.b64decode(salt)), base64.b64decode(wanted))


class PasswordMemory:
    """Remembers passwords that were right, as digests under a key of this process, so that a playbook's
    many requests cost one scrypt in all."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._lock = Lock()

    def check(self, password: str, kept: str) -> bool:
        """Return whether the password is right; thread-safe."""
        digest = hmac.digest(self._key, f"{kept}\0{password}".encode(), "sha256")
        if digest in self._known:
            return True
        if not password_is_right(password, kept):
            return False
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add(digest)
        return True
