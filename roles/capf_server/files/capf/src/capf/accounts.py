"""The administrator's password: scrypt at rest, and quick to check again (R17: one account for the cluster)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from threading import Lock

_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16
_REMEMBERED = 64


class Login(Enum):
    """What became of a try to log in."""

    RIGHT = "right"
    WRONG = "wrong"
    WAIT = "wait"


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


def is_kept_password(kept: str) -> bool:
    """Return whether a text is one that ``hash_password`` could have returned."""
    scheme, *parts = kept.split("$")
    try:
        return scheme == "scrypt" and [bool(base64.b64decode(part, validate=True)) for part in parts] == [True, True]
    except ValueError:
        return False


class LoginGuard:
    """Slows down whoever tries passwords: an address that was wrong several times has to wait, longer each time.

    ``clock`` counts seconds and never jumps.
    """

    _FREE_TRIES = 5
    _LONGEST_SECONDS = 60.0
    _ADDRESSES = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return how long this address has to wait before its password is looked at, 0 when it need not."""
        _tries, until = self._wrong.get(address, (0, 0.0))
        return max(0.0, until - self._clock())

    def wrong(self, address: str) -> None:
        """Count a wrong password."""
        tries = self._wrong.pop(address, (0, 0.0))[0] + 1
        pause = 0.0 if tries < self._FREE_TRIES else min(self._LONGEST_SECONDS, 2.0 ** (tries - self._FREE_TRIES))
        self._wrong[address] = (tries, self._clock() + pause)
        while len(self._wrong) > self._ADDRESSES:
            self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget what was wrong."""
        self._wrong.pop(address, None)


class PasswordMemory:
    """Remembers passwords that were right, as digests under a key of this process, so that a playbook's
    many requests cost one scrypt in all."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._lock = Lock()

    def _digest(self, password: str, kept: str) -> bytes:
        return hmac.digest(self._key, f"{kept}\0{password}".encode(), "sha256")

    def remembers(self, password: str, kept: str) -> bool:
        """Return whether the password was right before, which costs nothing to know."""
        return self._digest(password, kept) in self._known

    def check(self, password: str, kept: str) -> bool:
        """Return whether the password is right; thread-safe."""
        if self.remembers(password, kept):
            return True
        if not password_is_right(password, kept):
            return False
        digest = self._digest(password, kept)
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add(digest)
        return True
