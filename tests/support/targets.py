# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fuzz targets: each accepts any bytes and fails if the result violates its docstring (P14)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from capf.certificates import ctl
from capf.certificates.authority import load_public_key
from capf.model import AuthenticationMode, KeySpec, LintError, Operation, Outcome
from capf.phone_session.dialogue import Patience, dialogue
from capf.phone_session.effects import Claim, Effect, Granted, Issued, Receive, Reply, Send, Silence
from capf.phone_session.verify import Trust
from capf.phone_session.wire import (
    Command,
    Message,
    Reader,
    Tag,
    WireError,
    encode,
    unpack_certificates,
    unpack_sha2,
    unpack_sudi,
)
from support.verdicts import HELD, certificate_fault

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED_AT = 1795408200.0
_BYTE_BY_BYTE = 64
_RSA, _EC = KeySpec(ec=False, bits=2048), KeySpec(ec=True, bits=256)
_OPERATIONS = (
    Granted(HELD, Operation.INSTALL, (_EC, _RSA), attempts=3),
    Granted(HELD, Operation.DELETE),
    Granted(HELD, Operation.TROUBLESHOOT),
)
_OUTCOMES = ("Confirm", "Fetched", "Fail", "Lost")


def _read(parts: list[bytes]) -> tuple[list[Message], str]:
    """Feed a reader; return its messages, and its error about the first invalid bytes."""
    reader, found = Reader(), []
    for part in parts:
        reader.feed(part)
        try:
            while (message := reader.next_message()) is not None:
                found.append(message)
        except WireError as error:
            return found, str(error)
    return found, ""


def wire(data: bytes) -> None:
    """Any bytes, split anywhere: the same messages, and "need more" or one error; messages survive encoding."""
    cut = data[0] % (len(data) + 1) if data else 0
    found, said = _read([data])
    assert _read([data[:cut], data[cut:]]) == (found, said)
    assert _read([bytes((byte,)) for byte in data[:_BYTE_BY_BYTE]] + [data[_BYTE_BY_BYTE:]]) == (found, said)
    for message in found:
        assert _read([encode(message)]) == ([message], "")
        for tag in Tag:
            with suppress(WireError):
                message.number(tag)
            with suppress(WireError):
                message.text(tag)
        for value in message.elements.values():
            for unpack in (unpack_certificates, unpack_sha2, unpack_sudi):
                with suppress(WireError):
                    unpack(value)


def _heard(data: bytes) -> Iterator[Message | Silence]:
    found, said = _read([data])
    yield from found
    yield Silence.GARBAGE if said else Silence.TIMEOUT if data[-1:] == b"t" else Silence.LOST
    while True:
        yield Silence.LOST


def session(data: bytes) -> None:
    """Any messages from a phone: the dialogue ends with at most one outcome, and its messages can be encoded."""
    granted = _OPERATIONS[len(data) % len(_OPERATIONS)]
    incoming, outcomes = _heard(data), []
    steps = dialogue(int.from_bytes(data[2:6], "big"), "192.0.2.1", Patience())
    reply: Reply = None
    effect: Effect = next(steps)
    answers: dict[str, Reply] = {"Claim": granted, "Issue": Issued(b"der", "0a")}
    with suppress(StopIteration):
        while True:
            kind = type(effect).__name__
            outcomes += [kind] if kind in _OUTCOMES else []
            if isinstance(effect, Send):
                assert _read([encode(effect.message)]) == ([effect.message], "")
                reply = None
            elif isinstance(effect, Receive):
                reply = next(incoming)
            else:
                reply = answers.get(kind)
            effect = steps.send(reply)
    assert len(outcomes) <= 1


@cache
def _trust() -> Trust:
    certificates = VECTORS / "certificates"
    (capf,) = x509.load_pem_x509_certificates((certificates / "capf.crt").read_bytes())
    (mfg,) = x509.load_pem_x509_certificates((certificates / "mfg.crt").read_bytes())
    return Trust([capf], [mfg], allow_sha1_mic=True)


def _judge(claim: Claim) -> None:
    for mode in (AuthenticationMode.LSC_FIRST, AuthenticationMode.MIC_FIRST):
        fault = certificate_fault(claim, mode, False, _trust(), RECORDED_AT)
        assert fault is None or isinstance(fault, Outcome)


def verify(data: bytes) -> None:
    """Any proof from a phone: it is valid, or an outcome says what is wrong."""
    for message in _read([data])[0]:
        steps = dialogue(message.session_id, "192.0.2.1", Patience())
        next(steps)
        steps.send(None)
        effect = steps.send(message)
        if isinstance(effect, Claim):
            _judge(effect)


def certificate(data: bytes) -> None:
    """Any certificate or SUDI data from a phone: an outcome says what is wrong."""
    sudi = b"\0" + len(data).to_bytes(2, "big") + data + b"\1\0\0\3\0\0"
    for kind in (1, 2):
        _judge(Claim("SEP001122334455", 3, 1, "192.0.2.1", None, ((kind, data),), b"s", (3, b"s"), sudi))


def public_key(data: bytes) -> None:
    """Any key from a phone: a key as scheduled, or one error."""
    with suppress(LintError):
        load_public_key(data, [_RSA, _EC])


def ctl_file(data: bytes) -> None:
    """Any bytes: a CTL file with its signer, or one error."""
    with suppress(ctl.CtlError):
        ctl.read(data).signer()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "session": session,
    "verify": verify,
    "certificate": certificate,
    "public key": public_key,
    "ctl": ctl_file,
}


def _spoken() -> Iterator[bytes]:
    """Yield the bytes that the phone sent in each recorded session."""
    for recorded in json.loads((VECTORS / "sessions.json").read_text()):
        yield b"".join(bytes.fromhex(item["hex"]) for item in recorded["messages"] if item["from"] == "phone")


def seeds(target: str) -> list[bytes]:
    """Return the initial corpus of a target: recorded data."""
    if target == "ctl":
        return [path.read_bytes() for path in sorted((VECTORS / "ctl").iterdir())]
    if target == "certificate":
        paths = sorted((VECTORS / "certificates").iterdir())
        return [x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER) for path in paths]
    if target == "public key":
        spoken = [message for data in _spoken() for message in _read([data])[0]]
        return [message.elements[Tag.PUBLIC_KEY] for message in spoken if Tag.PUBLIC_KEY in message.elements]
    if target == "verify":
        first = [message for data in _spoken() for message in _read([data])[0][:1]]
        return [encode(message) for message in first if message.command is Command.AUTH_RESPONSE]
    return list(_spoken())
