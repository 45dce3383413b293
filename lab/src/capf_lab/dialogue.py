# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phone's side of a CAPF session, without input or output: a generator that yields steps (R2, R4)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capf.model import KeySpec
from capf.phone_session.wire import (
    BITS_OF_CURVE,
    CertificateType,
    Command,
    KeyType,
    Message,
    Reason,
    Tag,
    pack_certificates,
    unpack_certificates,
)
from capf_lab.flash import Flash, Identity
from capf_lab.keys import PrivateKey


class Result(Enum):
    """How the session ended, as shown on the phone."""

    INSTALLED = "LSC installed"
    DELETED = "LSC deleted"
    FETCHED = "certificates fetched"
    NOTHING = "no operation pending"
    REFUSED = "refused by CAPF"
    UNKNOWN_DEVICE = "unknown to CAPF"
    RETRY_LATER = "CAPF asks to retry later"
    STOPPED = "stopped"
    LOST = "CAPF cannot be reached"

    @property
    def success(self) -> bool:
        """Whether the operation was carried out."""
        return self in (Result.INSTALLED, Result.DELETED, Result.FETCHED)


@dataclass(frozen=True, slots=True)
class SendStep:
    """Send a message to CAPF."""

    message: Message


@dataclass(frozen=True, slots=True)
class ReceiveStep:
    """Wait for CAPF's next message."""


@dataclass(frozen=True, slots=True)
class GenerateStep:
    """Generate a key pair, which may take long; the reply is the key, None if that failed."""

    spec: KeySpec
    session_id: int


Step = SendStep | ReceiveStep | GenerateStep
Reply = Message | PrivateKey | None
Session = Generator[Step, Reply, Result]
Authenticate = Callable[[int], Message]
"""Makes the AUTH_RESPONSE for a session id."""


def session(flash: Flash, authenticate: Authenticate) -> Session:
    """Answer CAPF until it ends the session; return the result. The LSC is in flash before it is confirmed to CAPF."""
    key: PrivateKey | None = None
    done = Result.NOTHING
    while True:
        request = yield ReceiveStep()
        assert isinstance(request, Message)  # noqa: S101 - the reply to ReceiveStep is a message
        match request.command:
            case Command.AUTH_REQUEST:
                yield SendStep(authenticate(request.session_id))
            case Command.KEY_GENERATE_REQUEST:
                made = yield GenerateStep(_spec(request), request.session_id)
                key = None if made is None or isinstance(made, Message) else made
                yield SendStep(_key_response(request, key))
            case Command.STORE_CERTIFICATE_REQUEST:
                stored = _store(flash, request, key)
                done = Result.INSTALLED if stored else Result.REFUSED
                yield _answer(Command.STORE_CERTIFICATE_RESPONSE, request, stored)
            case Command.DELETE_CERTIFICATE_REQUEST:
                flash.delete_lsc()
                done = Result.DELETED
                yield _answer(Command.DELETE_CERTIFICATE_RESPONSE, request, True)
            case Command.FETCH_CERTIFICATE_REQUEST:
                done = Result.FETCHED
                yield SendStep(_fetch_response(flash, request))
            case Command.RETRY_LATER:
                return Result.RETRY_LATER
            case Command.END_SESSION:
                return _end(request, done)
            case _unused:
                return Result.REFUSED


def _end(request: Message, done: Result) -> Result:
    reason = request.number(Tag.REASON)
    if reason == Reason.UNKNOWN_DEVICE:
        return Result.UNKNOWN_DEVICE
    return done if reason in (Reason.SUCCESS, Reason.NO_ACTION) else Result.REFUSED


def _spec(request: Message) -> KeySpec:
    if request.number(Tag.KEY_TYPE) == KeyType.EC:
        return KeySpec(ec=True, bits=BITS_OF_CURVE[request.number(Tag.CURVE) or 0])
    return KeySpec(ec=False, bits=request.number(Tag.KEY_SIZE) or 0)


def _reason(success: bool) -> bytes:
    return bytes((Reason.SUCCESS if success else Reason.REJECTED,))


def _answer(command: Command, request: Message, success: bool) -> SendStep:
    return SendStep(Message(command, request.session_id, {Tag.REASON: _reason(success)}))


def _key_response(request: Message, key: PrivateKey | None) -> Message:
    """Send only the public key; the private key stays in the phone (R4)."""
    if key is None:
        return Message(Command.KEY_GENERATE_RESPONSE, request.session_id, {Tag.REASON: _reason(False)})
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Message(Command.KEY_GENERATE_RESPONSE, request.session_id, {Tag.PUBLIC_KEY: public})


def _store(flash: Flash, request: Message, key: PrivateKey | None) -> bool:
    """Install the certificate if it is for the key that the phone has just generated."""
    if key is None:
        return False
    try:
        ((_unused, der),) = unpack_certificates(request.elements.get(Tag.CERTIFICATE, b""))
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        return False
    if certificate.public_key() != key.public_key():
        return False
    flash.store_lsc(Identity(certificate, key))
    return True


def _fetch_response(flash: Flash, request: Message) -> Message:
    held = ((CertificateType.LSC, flash.lsc), (CertificateType.MIC, flash.mic))
    package = tuple((int(kind), identity.der) for kind, identity in held if identity is not None)
    elements: dict[int, bytes] = {Tag.REASON: _reason(bool(package))}
    if package:
        elements[Tag.CERTIFICATE] = pack_certificates(package)
    return Message(Command.FETCH_CERTIFICATE_RESPONSE, request.session_id, elements)
