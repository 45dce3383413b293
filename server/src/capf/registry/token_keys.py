# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private keys with which this server signs files for phones: those of the security tokens and of the file signer.

Each is a file of mode 0600 in ``tokens/`` of the state directory, named after its certificate and encrypted with the
key of the authentication strings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from capf.certificates.authority import new_serial
from capf.certificates.keystore import SECRET, fingerprint, key_pem, write_whole
from capf.certificates.secretbox import UnreadableError
from capf.model import ConflictError
from capf.registry.context import Context

_BITS = 2048
_YEARS = 20

Pair = tuple[x509.Certificate, rsa.RSAPrivateKey]


class UnreadableKeyError(ConflictError):
    """The file of a key is here but cannot be used, so that only a new key helps."""


def make(context: Context, name: x509.Name) -> Pair:
    """Return a new key and its self-signed certificate with this subject."""
    key = rsa.generate_private_key(65537, _BITS)
    start = datetime.fromtimestamp(context.now, UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(new_serial(os.urandom))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def path(context: Context, certificate: x509.Certificate) -> Path:
    """Return the file of a certificate's key."""
    return context.token_directory / f"{fingerprint(certificate)}.key"


def store(context: Context, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
    """Write the file of a key."""
    file = path(context, certificate)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    sealed = context.secrets.encrypt(key_pem(key).decode(), fingerprint(certificate))
    write_whole(file, sealed, SECRET)


def load(context: Context, certificate: x509.Certificate, title: str) -> rsa.RSAPrivateKey:
    """Return the key of ``title``, such as ``security token 1``; ConflictError if this server does not have it."""
    try:
        key = serialization.load_pem_private_key(text(context, certificate, title).encode(), None)
    except (ValueError, TypeError):
        raise UnreadableKeyError(f"the key of {title} cannot be read: it is not in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnreadableKeyError(f"the key of {title} is not RSA")
    return key


def text(context: Context, certificate: x509.Certificate, title: str) -> str:
    """Return the key of ``title`` as PEM; ConflictError if its file is missing or cannot be decrypted."""
    file = path(context, certificate)
    try:
        return context.secrets.decrypt(file.read_bytes(), fingerprint(certificate))
    except FileNotFoundError:
        raise ConflictError(f"the key of {title} is not on this server ({file})") from None
    except OSError as error:
        raise ConflictError(f"the key of {title} cannot be read: {error.strerror}") from None
    except UnreadableError:
        raise UnreadableKeyError(f"the key of {title} cannot be read: {file} was changed, or strings.key was") from None


def sweep(context: Context, kept: Iterable[x509.Certificate]) -> None:
    """Remove the files of all other keys."""
    files = {path(context, certificate) for certificate in kept}
    for file in context.token_directory.glob("*.key"):
        if file not in files:
            file.unlink()
