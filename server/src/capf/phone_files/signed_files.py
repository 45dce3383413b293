# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``NAME.sgn``: the signed form of each file that phones fetch (P62, docs/phone-files.md).

It is made from the file's current content whenever somebody needs it, so that it is never older than the file. Its time
is that of the signer's certificate: the same content, name and key always give the same bytes, and unchanged files are
not published again.
"""

from __future__ import annotations

from collections.abc import Mapping

from capf.certificates import envelope
from capf.certificates.envelope import SUFFIX, EnvelopeError, Label
from capf.certificates.signatures import SigningKey

_LIST_SUFFIX = ".tlv"


def has_signed_form(name: str) -> bool:
    """Return whether a file is also served signed: all but CTL files, which have a signature, and signed files."""
    return not name.endswith((_LIST_SUFFIX, SUFFIX))


def sign(name: str, content: bytes, key: SigningKey) -> bytes:
    """Return the signed form of the file ``name``."""
    return envelope.make(content, _label(name, key), key)


def _label(name: str, key: SigningKey) -> Label:
    return Label(f"{name}{SUFFIX}", int(key.certificate.not_valid_before_utc.timestamp()))


def is_signed_form(data: bytes, name: str, content: bytes, key: SigningKey) -> bool:
    """Return whether ``data`` is the signed form of this content; faster than signing it again."""
    try:
        file = envelope.read(data)
        same = (file.label, file.content, file.digest) == (_label(name, key), content, key.digest)
        return same and envelope.verify(file, [key.certificate]) == key.certificate
    except EnvelopeError:
        return False


def with_signed_forms(files: Mapping[str, bytes], key: SigningKey | None) -> dict[str, bytes]:
    """Return files by name, and their signed forms if there is a key."""
    signed = {} if key is None else {name: sign(name, files[name], key) for name in files if has_signed_form(name)}
    return {**files, **{f"{name}{SUFFIX}": data for name, data in signed.items()}}


def check(name: str, data: bytes) -> bytes:
    """Return the content of the signed file ``name``; EnvelopeError if it is damaged or was signed for another name."""
    file = envelope.read(data)
    if file.label.file_name != name:
        raise EnvelopeError(f"its header is that of {file.label.file_name!r}")
    return file.content
