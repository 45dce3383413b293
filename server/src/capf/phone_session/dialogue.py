# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogue with one phone, without I/O: a generator that yields effects (docs/protocol.md, "A session")."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

from capf.model import KeySpec, Operation, Outcome
from capf.phone_session.effects import (
    Claim,
    Confirm,
    Effect,
    Fail,
    Fetched,
    Granted,
    Issue,
    Issued,
    Lost,
    Protest,
    Receive,
    Refused,
    Reply,
    Send,
    Silence,
)
from capf.phone_session.wire import (
    CURVE_OF_BITS,
    CertificateType,
    Command,
    KeyType,
    Message,
    Reason,
    Tag,
    WireError,
    pack_certificates,
    unpack_certificates,
    unpack_sha2,
)

VERSION = 3
NO_KEY = "the phone could not make a key"
"""The problem of an operation that asked for every key as often as it may."""
OLDEST_VERSION = 2
_STOPS = (Command.END_SESSION, Command.ABORT_REQUEST)

Dialogue = Generator[Effect, Reply, None]
Answer = Generator[Effect, Reply, Message | None]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that the server waits for the phone: for its first answer, and for every later one."""

    authentication: float = 30.0
    answer: float = 60.0


def dialogue(session_id: int, peer: str, patience: Patience) -> Dialogue:
    """Run one session: send, receive, and request claims and certificates by yielding effects.

    The caller sends each effect's reply back in. The generator ends when the server should close.
    """
    yield Send(_message(Command.AUTH_REQUEST, session_id, {Tag.VERSION: bytes((VERSION,)), Tag.AUTH_TYPE: b"\0"}))
    response = yield Receive(patience.authentication)
    if not isinstance(response, Message):
        return
    try:
        claim = _claim(response, session_id, peer)
    except WireError as error:
        yield Protest(str(error))
        yield _end(session_id, Reason.REJECTED)
        return
    decision = yield claim
    if isinstance(decision, Refused):
        yield _end(session_id, decision.reason)
        return
    granted = cast(Granted, decision)
    steps = {Operation.INSTALL: _install, Operation.DELETE: _delete, Operation.TROUBLESHOOT: _troubleshoot}
    yield from steps[granted.operation](granted, claim, patience)


def _claim(message: Message, session_id: int, peer: str) -> Claim:
    """Return the phone's claim; WireError if the answer is not a usable AUTH_RESPONSE."""
    if message.command is not Command.AUTH_RESPONSE or message.session_id != session_id:
        raise WireError(_out_of_place(message, session_id, Command.AUTH_RESPONSE))
    device_name = message.text(Tag.DEVICE_NAME)
    version = message.number(Tag.VERSION)
    if not device_name or version is None or version < OLDEST_VERSION:
        raise WireError(f"AUTH_RESPONSE has device name {device_name!r:.80} and version {version}")
    package = message.elements.get(Tag.CERTIFICATE)
    sha2 = message.elements.get(Tag.SHA2_SIGNED_DATA)
    return Claim(
        device_name=device_name,
        version=min(version, VERSION),
        session_id=session_id,
        peer=peer,
        password=message.text(Tag.PASSWORD),
        certificates=() if package is None else unpack_certificates(package),
        signed_data=message.elements.get(Tag.SIGNED_DATA),
        sha2_signed_data=None if sha2 is None else unpack_sha2(sha2),
        sudi_data=message.elements.get(Tag.SUDI_DATA),
    )


def _out_of_place(message: Message, session_id: int, expected: Command) -> str:
    got = f"{message.command.name} of session {message.session_id:08x}"
    return f"{got}; {expected.name} of session {session_id:08x} is allowed"


def _message(command: Command, session_id: int, elements: dict[int, bytes] | dict[Tag, bytes]) -> Message:
    return Message(command, session_id, {int(tag): value for tag, value in elements.items()})


def _end(session_id: int, reason: int) -> Send:
    return Send(_message(Command.END_SESSION, session_id, {Tag.REASON: bytes((reason,))}))


def _ask(granted: Granted, request: Message, expected: Command, timeout: float) -> Answer:
    """Send a request and return the expected answer; None if the session has ended and its outcome is recorded."""
    yield Send(request)
    goes_on = False
    while True:
        answer = yield Receive(timeout, goes_on)
        if isinstance(answer, Message) and answer.session_id == request.session_id:
            if answer.command is expected:
                return answer
            if answer.command is Command.REQUEST_IN_PROGRESS:
                goes_on = True
                continue
            if answer.command in _STOPS:
                yield from _aborted(granted, answer)
                return None
        if answer is Silence.TIMEOUT and expected is Command.KEY_GENERATE_RESPONSE:
            yield Fail(granted.hold, Outcome.KEY_GENERATION_FAILED, "no key within the allowed time")
            yield _end(request.session_id, Reason.REJECTED)
            return None
        if isinstance(answer, Message):
            yield Protest(_out_of_place(answer, request.session_id, expected))
        yield Lost(granted.hold)
        if answer is not Silence.LOST:
            yield _end(request.session_id, Reason.REJECTED)
        return None


def _aborted(granted: Granted, request: Message) -> Dialogue:
    """Record that the phone user stopped the operation (R7)."""
    yield Fail(granted.hold, Outcome.FAILED, "aborted by the phone user")
    if request.command is Command.ABORT_REQUEST:
        yield Send(_message(Command.ABORT_RESPONSE, request.session_id, {Tag.REASON: bytes((Reason.SUCCESS,))}))


def key_request(session_id: int, version: int, key: KeySpec) -> Message:
    """Return the KEY_GENERATE_REQUEST for ``key``; a version 2 client only gets the RSA key size."""
    if key.ec:
        elements = {Tag.KEY_TYPE: bytes((KeyType.EC,)), Tag.CURVE: bytes((CURVE_OF_BITS[key.bits],))}
    else:
        elements = {Tag.KEY_SIZE: key.bits.to_bytes(2, "big")}
        if version >= VERSION:
            elements[Tag.KEY_TYPE] = bytes((KeyType.RSA,))
    return _message(Command.KEY_GENERATE_REQUEST, session_id, elements)


def _install(granted: Granted, claim: Claim, patience: Patience) -> Dialogue:
    public_key = yield from _public_key(granted, claim)
    if public_key is None:
        return
    issued = yield Issue(granted.hold, public_key)
    if not isinstance(issued, Issued):
        yield _end(claim.session_id, Reason.REJECTED)
        return
    package = pack_certificates(((CertificateType.LSC, issued.der),))
    store = _message(
        Command.STORE_CERTIFICATE_REQUEST,
        claim.session_id,
        {Tag.CERTIFICATE_TYPE: bytes((CertificateType.LSC,)), Tag.CERTIFICATE: package},
    )
    answer = yield from _ask(granted, store, Command.STORE_CERTIFICATE_RESPONSE, patience.answer)
    yield from _finish(granted, answer, "the phone did not store the certificate", issued.serial_number)


def _public_key(granted: Granted, claim: Claim) -> Generator[Effect, Reply, bytes | None]:
    """Request a key, and retry if the phone failed to generate one, up to the maximum number of attempts (R25)."""
    for attempt in range(granted.attempts):
        key = granted.keys[min(attempt, len(granted.keys) - 1)]
        request = key_request(claim.session_id, claim.version, key)
        answer = yield from _ask(granted, request, Command.KEY_GENERATE_RESPONSE, granted.key_timeout)
        if answer is None:
            return None
        public_key = answer.elements.get(Tag.PUBLIC_KEY)
        if public_key:
            return public_key
    yield Fail(granted.hold, Outcome.KEY_GENERATION_FAILED, NO_KEY)
    yield _end(claim.session_id, Reason.REJECTED)
    return None


def _delete(granted: Granted, claim: Claim, patience: Patience) -> Dialogue:
    request = _message(Command.DELETE_CERTIFICATE_REQUEST, claim.session_id, {})
    answer = yield from _ask(granted, request, Command.DELETE_CERTIFICATE_RESPONSE, patience.answer)
    yield from _finish(granted, answer, "the phone did not delete the certificate")


def _finish(granted: Granted, answer: Message | None, problem: str, serial_number: str = "") -> Dialogue:
    """Confirm or fail according to the phone's reason; nothing counts as done until the phone has confirmed it."""
    if answer is None:
        return
    if _succeeded(answer):
        yield Confirm(granted.hold, serial_number)
        yield _end(answer.session_id, Reason.SUCCESS)
    else:
        yield Fail(granted.hold, Outcome.FAILED, problem)
        yield _end(answer.session_id, Reason.REJECTED)


def _succeeded(answer: Message) -> bool:
    return answer.elements.get(Tag.REASON) == bytes((Reason.SUCCESS,))


def _troubleshoot(granted: Granted, claim: Claim, patience: Patience) -> Dialogue:
    request = _message(Command.FETCH_CERTIFICATE_REQUEST, claim.session_id, {})
    answer = yield from _ask(granted, request, Command.FETCH_CERTIFICATE_RESPONSE, patience.answer)
    if answer is None:
        return
    package = answer.elements.get(Tag.CERTIFICATE, b"") if _succeeded(answer) else b""
    try:
        certificates = unpack_certificates(package)
    except WireError as error:
        yield Fail(granted.hold, Outcome.FAILED, str(error))
        yield _end(claim.session_id, Reason.REJECTED)
        return
    yield Fetched(granted.hold, certificates)
    yield _end(claim.session_id, Reason.NO_ACTION)
