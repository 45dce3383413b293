# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state directory: keys and certificates, and how they are read (R3)."""

from __future__ import annotations

import fcntl
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from capf.certificates import keystore
from capf.certificates.authority import Authority, MissingAuthority
from capf.certificates.keystore import Keystore
from capf.certificates.secretbox import KEY_BYTES, MissingSecretBox, SecretBox
from capf.model import CapfError, ConflictError, Fault


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The paths of the files in a state directory."""

    path: Path

    @property
    def capf_key(self) -> Path:
        """The CAPF private key with its certificate."""
        return self.path / "capf.key"

    @property
    def strings_key(self) -> Path:
        """The key that encrypts authentication strings at rest."""
        return self.path / "strings.key"

    @property
    def administration_key(self) -> Path:
        """The TLS key of the administration API."""
        return self.path / "administration.key"

    @property
    def administration_certificate(self) -> Path:
        """The TLS certificate of the administration API, PEM."""
        return self.path / "administration.crt"

    @property
    def trace(self) -> Path:
        """The trace files, those of Troubleshoot among them."""
        return self.path / "trace"

    @property
    def tokens(self) -> Path:
        """The keys of the security tokens, encrypted."""
        return self.path / "tokens"

    @property
    def files(self) -> Path:
        """The files for phones that were published to a subscriber."""
        return self.path / "files"

    def lock(self) -> IO[str]:
        """Return the lock that only one server can hold; ConflictError if another one is running."""
        try:
            handle = (self.path / "lock").open("w")
        except OSError as error:
            raise CapfError(f"the state directory {self.path} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ConflictError(f"another capf server runs on {self.path}") from None
        return handle


@dataclass(frozen=True, slots=True)
class Loaded:
    """The keys of a state directory, with placeholders for unusable ones, and the faults of its files."""

    authority: Authority
    secrets: SecretBox
    faults: list[Fault]


def load(state: StateDirectory) -> Loaded:
    """Do what ``load_unchanged`` does, and write the CAPF certificate under each of its names."""
    loaded = load_unchanged(state)
    if loaded.authority.usable:
        try:
            Keystore(state.path).publish()
        except OSError as error:
            problem = f"the CAPF certificate cannot be written there: {error.strerror}"
            loaded.faults.append(Fault(str(state.path), problem, "let the server write there, and restart it"))
    return loaded


def load_unchanged(state: StateDirectory) -> Loaded:
    """Return the keys; a problem with them is a fault, because administration runs without them."""
    keys, secrets = Keystore(state.path), load_secrets(state)
    faults = keys.faults()
    if isinstance(secrets, MissingSecretBox):
        faults.append(secrets.fault)
    unusable = next((fault for fault in faults if fault.where == str(keys.issuing_file)), None)
    return Loaded(keys.authority() if unusable is None else MissingAuthority(unusable), secrets, faults)


def load_secrets(state: StateDirectory) -> SecretBox:
    """Return the cipher of the authentication strings, or its placeholder."""
    try:
        return strings_box(state)
    except CapfError as error:
        return MissingSecretBox(Fault(str(state.strings_key), str(error), keystore.RESTORE, stops_capf=True))


def strings_box(state: StateDirectory) -> SecretBox:
    """Return the cipher of the authentication strings; CapfError if its key is unusable."""
    keystore.check_mode(state.strings_key)
    try:
        key = state.strings_key.read_bytes()
    except OSError as error:
        raise CapfError(f"it cannot be read: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise CapfError(f"it has {len(key)} bytes; a key has {KEY_BYTES}")
    return SecretBox(key)


def check_administration(state: StateDirectory) -> None:
    """Raise CapfError if the key or certificate of the administration API is unusable: nothing runs without them."""
    keystore.check_mode(state.administration_key)
    certificates = keystore.certificates(state.administration_certificate)
    try:
        key = serialization.load_pem_private_key(state.administration_key.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise CapfError(f"{state.administration_key} is not a private key in PEM; {keystore.RESTORE}") from None
    if not certificates or certificates[0].public_key() != key.public_key():
        raise CapfError(f"administration.key is not the key of administration.crt in {state.path}; {keystore.RESTORE}")


def capf_tls(state: StateDirectory, *, allow_tls_1_0: bool) -> ssl.SSLContext:
    """Return the TLS settings of the CAPF port: TLS 1.2 and later, or 1.0 for old phones by explicit setting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if allow_tls_1_0:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.load_cert_chain(state.capf_key)
    return context
