# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's password at rest: scrypt (R17: one account for the cluster)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)


def hash_password(password: str) -> str:
    """Return the hash of a password, as stored in the database."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return "scrypt$" + "$".join(base64.b64encode(part).decode() for part in (salt, _scrypt(password, salt)))


def password_is_right(password: str, kept: str) -> bool:
    """Check a password against a result of ``hash_password``; takes about 50 ms of one core."""
    _unused, salt, wanted = kept.split("$")
    return hmac.compare_digest(_scrypt(password, base64.b64decode(salt)), base64.b64decode(wanted))


def is_kept_password(kept: str) -> bool:
    """Return whether a text has the form of a result of ``hash_password``."""
    scheme, *parts = kept.split("$")
    try:
        return scheme == "scrypt" and [bool(base64.b64decode(part, validate=True)) for part in parts] == [True, True]
    except ValueError:
        return False
