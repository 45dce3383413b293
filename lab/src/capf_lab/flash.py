# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated phone's flash: a separate directory, the only place that contains its private keys."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from capf.model import CapfError
from capf_lab.keys import PrivateKey

_LABS = "ctl-of-the-lab.tlv"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of the phone and its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


class Flash:
    """The data that survives a power loss. Every write replaces a whole file atomically."""

    def __init__(self, directory: Path) -> None:
        """Use ``directory``, which is created with mode 0700 if it is missing."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._directory / f"{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
        temporary.replace(self._directory / name)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def _identity(self, name: str) -> Identity | None:
        pem = self._read(name)
        if pem is None:
            return None
        key = load_pem_private_key(pem, None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise CapfError(f"{self._directory / name}: neither an RSA nor an EC key")
        return Identity(x509.load_pem_x509_certificate(pem), key)

    def _keep_identity(self, name: str, identity: Identity) -> None:
        key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._write(name, key + identity.certificate.public_bytes(Encoding.PEM))

    @property
    def mic(self) -> Identity | None:
        """The manufacturing installed certificate, None if the phone was made without one."""
        return self._identity("mic.pem")

    def make_mic(self, identity: Identity) -> None:
        """Install the MIC, as the factory does."""
        self._keep_identity("mic.pem", identity)

    @property
    def lsc(self) -> Identity | None:
        """The locally significant certificate."""
        return self._identity("lsc.pem")

    @property
    def has_lsc(self) -> bool:
        """Whether an LSC is installed, as the phone shows under Model Information (R32)."""
        return (self._directory / "lsc.pem").exists()

    def store_lsc(self, identity: Identity) -> None:
        """Install an LSC; certificate and key replace the earlier ones atomically."""
        self._keep_identity("lsc.pem", identity)

    def delete_lsc(self) -> None:
        """Remove the LSC and its key."""
        (self._directory / "lsc.pem").unlink(missing_ok=True)

    @property
    def ctl(self) -> bytes | None:
        """The CTL file on the phone."""
        return self._read("ctl.tlv")

    @property
    def ctl_is_the_labs(self) -> bool:
        """Whether the lab made the CTL file, because no server had published one yet."""
        return self.ctl is not None and self._read(_LABS) == self.ctl

    def store_ctl(self, data: bytes, of_the_lab: bool = False) -> None:
        """Replace the CTL file."""
        if of_the_lab:
            self._write(_LABS, data)
        self._write("ctl.tlv", data)

    def delete_ctl(self) -> None:
        """Delete the CTL file, as a user does on the phone before a move to another cluster (R19)."""
        (self._directory / "ctl.tlv").unlink(missing_ok=True)

    @property
    def unfinished(self) -> dict[str, Any] | None:
        """The CAPF settings of an operation that has begun but not ended (R6)."""
        data = self._read("unfinished.json")
        return None if data is None else dict(json.loads(data))

    def begin(self, settings: dict[str, Any]) -> None:
        """Keep the settings of an operation that begins, for a restart without a configuration file (R6)."""
        self._write("unfinished.json", json.dumps(settings).encode())

    def finish(self) -> None:
        """Clear the settings that ``begin`` kept, when the operation has ended (R6)."""
        (self._directory / "unfinished.json").unlink(missing_ok=True)
