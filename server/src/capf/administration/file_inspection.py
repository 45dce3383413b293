# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks into signed files, CTL files and ITL files of any origin, for people who want to know what phones see (P62)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from capf.certificates import ctl, envelope, keystore
from capf.certificates.ctl import Role
from capf.certificates.envelope import Envelope
from capf.certificates.signatures import DIGEST_NAMES
from capf.registry import moment
from capf.registry.file_signer import TFTP_ROLES

_KINDS = {
    envelope.SIGNED: "signed file",
    envelope.ENCRYPTED: "encrypted and signed file",
    envelope.LIST: "CTL or ITL file",
}


@dataclass(frozen=True, slots=True)
class Trusted:
    """The certificates that a phone trusts to sign files, and those that it trusts to sign CTL and ITL files."""

    of_files: Sequence[x509.Certificate]
    of_lists: Sequence[x509.Certificate] | None = None

    def signer_of(self, data: bytes) -> str:
        """Return the signer's name and serial number; EnvelopeError says why a phone would refuse the file."""
        file = envelope.read(data)
        is_list = file.label.version == envelope.LIST and self.of_lists is not None
        signer = envelope.verify(file, self.of_lists or () if is_list else self.of_files)
        return f"{envelope.name_text(signer.subject)} (serial number {signer.serial_number:x})"


def certificates_of(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file; InvalidRequestError if it has none or cannot be read."""
    return keystore.certificates(path)


def trusted_by_list(data: bytes) -> Trusted:
    """Return the signers that a phone with this CTL or ITL file trusts; CtlError if its own signature is invalid."""
    held = ctl.read(data)
    held.signer()
    return Trusted(
        [certificate for role in TFTP_ROLES for certificate in held.certificates(role)], held.certificates(Role.SAST)
    )


def content(data: bytes) -> bytes:
    """Return the content of a signed file; the signature is not checked. EnvelopeError if it is damaged."""
    return envelope.read(data).content


def describe(data: bytes) -> dict[str, Any]:
    """Return what the header of a file says, by name; EnvelopeError if it is damaged. The signature is not checked."""
    file = envelope.read(data)
    version = file.label.version
    return {
        "kind": _KINDS.get(version, "file of an unknown kind"),
        "version": _dotted(version),
        "file_name": file.label.file_name,
        "signer": file.signer_name,
        "issuer": file.issuer_name,
        "serial_number": f"{file.serial_number:x}",
        "signed_at": moment.show(file.label.timestamp),
        "digest": DIGEST_NAMES[file.digest],
        "signature_bits": 8 * len(file.signature),
        **_only_in_some(file),
        "header_bytes": len(data) - len(file.content),
        "content_bytes": len(file.content),
    }


def _only_in_some(file: Envelope) -> dict[str, Any]:
    """Return what only lists or encrypted files have."""
    version = file.label.signer_version
    return {
        **({} if version is None else {"signer_version": _dotted(version)}),
        **({} if file.key_bits is None else {"phone_key_bits": file.key_bits}),
    }


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
