# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof with which a phone authenticates (docs/protocol.md, "Proof by certificate")."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from capf.phone_session.wire import (
    CertificateType,
    Command,
    DigestType,
    Message,
    Reason,
    Sudi,
    Tag,
    pack_certificates,
    pack_sha2,
    pack_sudi,
    string,
)
from capf_lab.flash import Flash, Identity

MODE_NONE, MODE_STRING, MODE_NULL_STRING, MODE_LSC_FIRST, MODE_MIC_FIRST = range(5)
SOFTPHONE_VERSION, PHONE_VERSION = 2, 3


def sign(identity: Identity, data: bytes, digest: DigestType) -> bytes:
    """Return a phone's signature: raw RSA over the bare digest, or ECDSA."""
    name, algorithm = {
        DigestType.SHA1: ("sha1", hashes.SHA1()),  # noqa: S303 - the phones' protocol has it
        DigestType.SHA512: ("sha512", hashes.SHA512()),
    }[digest]
    hashed = hashlib.new(name, data).digest()
    if isinstance(identity.key, rsa.RSAPrivateKey):
        return identity.key.sign(hashed, padding.PKCS1v15(), utils.NoDigestInfo())
    return identity.key.sign(hashed, ec.ECDSA(utils.Prehashed(algorithm)))


def offered(flash: Flash, mode: int) -> tuple[CertificateType, Identity] | None:
    """Return the certificate with which this mode authenticates, by its precedence; None if there is none (R1)."""
    lsc, mic = flash.lsc, flash.mic
    if lsc is not None and (mode == MODE_LSC_FIRST or mic is None):
        return CertificateType.LSC, lsc
    return None if mic is None else (CertificateType.MIC, mic)


def auth_response(
    device_name: str, session_id: int, flash: Flash, mode: int, authentication_string: str, version: int
) -> Message:
    """Return the AUTH_RESPONSE of a phone (version 3) or a softphone (version 2)."""
    elements: dict[int, bytes] = {
        Tag.REASON: bytes((Reason.SUCCESS,)),
        Tag.VERSION: bytes((version,)),
        Tag.DEVICE_NAME: string(device_name),
    }
    if version >= PHONE_VERSION or mode == MODE_STRING:
        elements[Tag.PASSWORD] = string(authentication_string if mode == MODE_STRING else "")
    certificate = offered(flash, mode) if mode in (MODE_LSC_FIRST, MODE_MIC_FIRST) else None
    if certificate is not None:
        elements |= _proof(device_name, session_id, certificate, flash.mic)
    return Message(Command.AUTH_RESPONSE, session_id, elements)


def _proof(
    device_name: str, session_id: int, certificate: tuple[CertificateType, Identity], mic: Identity | None
) -> dict[int, bytes]:
    kind, identity = certificate
    data = device_name.encode() + b"\0" + identity.der
    elements: dict[int, bytes] = {
        Tag.CERTIFICATE: pack_certificates(((kind, identity.der),)),
        Tag.SIGNED_DATA: sign(identity, data, DigestType.SHA1),
        Tag.SHA2_SIGNED_DATA: pack_sha2(DigestType.SHA512, sign(identity, data, DigestType.SHA512)),
    }
    if mic is not None:
        bound = session_id.to_bytes(4, "little") + mic.der
        signatures = (sign(mic, bound, digest) for digest in (DigestType.SHA1, DigestType.SHA512))
        elements[Tag.SUDI_DATA] = pack_sudi(Sudi(mic.der, *signatures))
    return elements
