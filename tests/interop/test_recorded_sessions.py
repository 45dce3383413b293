# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ten recorded sessions of independent tools: every message, and the whole dialogue against our state machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from capf.model import AuthenticationMode, KeySpec, Operation, Outcome
from capf.phone_session.dialogue import Patience, dialogue
from capf.phone_session.effects import (
    Claim,
    Confirm,
    Fail,
    Fetched,
    Granted,
    Issue,
    Issued,
    Receive,
    Refused,
    Reply,
    Send,
)
from capf.phone_session.verify import Trust, same_string
from capf.phone_session.wire import Command, Tag, decode, encode, unpack_certificates, unpack_sudi
from support.verdicts import HELD, certificate_fault

VECTORS = Path(__file__).parents[1] / "vectors"
SESSIONS = json.loads((VECTORS / "sessions.json").read_text())
BY_NAME = {session["name"]: session for session in SESSIONS}
RECORDED_AT = 1795408200.0  # 2026-11-23, when the sessions were recorded
every_session = pytest.mark.parametrize("recorded", SESSIONS, ids=list(BY_NAME))


def _certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((VECTORS / "certificates" / name).read_bytes())


TRUST = Trust(lsc_issuers=[_certificate("capf.crt")], mic_issuers=[_certificate("mfg.crt")])


def _messages(recorded: dict[str, Any], sender: str) -> list[bytes]:
    return [bytes.fromhex(item["hex"]) for item in recorded["messages"] if item["from"] == sender]


def test_all_ten_sessions_are_here() -> None:
    assert len(SESSIONS) == 10


@every_session
def test_each_message_is_decoded_and_encoded_to_the_same_bytes(recorded: dict[str, Any]) -> None:
    for data in _messages(recorded, "phone") + _messages(recorded, "server"):
        assert encode(decode(data)) == data


def _replay(recorded: dict[str, Any], answers: dict[type, Reply]) -> tuple[list[bytes], list[object]]:
    """Run our state machine on the phone's recorded messages; return what it sent and what it asked for."""
    phone = iter(_messages(recorded, "phone"))
    session_id = decode(_messages(recorded, "server")[0]).session_id
    sent: list[bytes] = []
    asked: list[object] = []
    steps = dialogue(session_id, "192.0.2.1", Patience())
    reply: Reply = None
    effect = next(steps)
    while True:
        if isinstance(effect, Send):
            sent.append(encode(effect.message))
            reply = None
        elif isinstance(effect, Receive):
            reply = decode(next(phone))
        else:
            asked.append(effect)
            reply = answers.get(type(effect))
        try:
            effect = steps.send(reply)
        except StopIteration:
            return sent, asked


def _stored(recorded: dict[str, Any]) -> bytes:
    for data in _messages(recorded, "server"):
        message = decode(data)
        if message.command is Command.STORE_CERTIFICATE_REQUEST:
            return unpack_certificates(message.elements[Tag.CERTIFICATE])[0][1]
    raise AssertionError("the session stores no certificate")


RSA, EC = (KeySpec(ec=False, bits=2048),), (KeySpec(ec=True, bits=384),)
DECISIONS: dict[str, tuple[Reply, list[type]]] = {
    "install, password": (Granted(HELD, Operation.INSTALL, RSA), [Claim, Issue, Confirm]),
    "fetch": (Granted(HELD, Operation.TROUBLESHOOT), [Claim, Fetched]),
    "install, wrong password": (Refused(7, Outcome.INVALID_STRING), [Claim]),
    "install, no password, EC secp384r1": (Granted(HELD, Operation.INSTALL, EC), [Claim, Issue, Confirm]),
    "install again RSA": (Granted(HELD, Operation.INSTALL, RSA), [Claim, Issue, Confirm]),
    "install, certificate (MIC)": (Granted(HELD, Operation.INSTALL, RSA), [Claim, Issue, Confirm]),
    "install, certificate (LSC+SUDI)": (Granted(HELD, Operation.INSTALL, RSA), [Claim, Issue, Confirm]),
    "no operation": (Refused(0), [Claim]),
    "delete": (Granted(HELD, Operation.DELETE), [Claim, Confirm]),
    "unknown device": (Refused(9), [Claim]),
}


@every_session
def test_the_state_machine_says_what_the_recorded_server_said(recorded: dict[str, Any]) -> None:
    decision, effects = DECISIONS[recorded["name"]]
    issued = Issued(_stored(recorded), "0a") if Issue in effects else None
    sent, asked = _replay(recorded, {Claim: decision, Issue: issued})
    assert sent == _messages(recorded, "server")
    assert [type(effect) for effect in asked] == effects
    assert not any(isinstance(effect, Fail) for effect in asked)


def _claim(name: str, **changes: object) -> Claim:
    recorded = BY_NAME[name]
    _unused, asked = _replay(recorded, {Claim: Refused(0)})
    claim = asked[0]
    assert isinstance(claim, Claim)
    values = {field: getattr(claim, field) for field in Claim.__dataclass_fields__}
    return Claim(**{**values, **changes})


@pytest.mark.parametrize(
    ("name", "mode", "has_lsc"),
    [
        ("install, certificate (MIC)", AuthenticationMode.MIC_FIRST, False),
        ("install, certificate (LSC+SUDI)", AuthenticationMode.LSC_FIRST, True),
    ],
)
def test_the_recorded_signatures_verify(name: str, mode: AuthenticationMode, has_lsc: bool) -> None:
    assert certificate_fault(_claim(name), mode, has_lsc, TRUST, RECORDED_AT) is None


def test_the_recorded_sudi_data_holds_the_phones_mic() -> None:
    claim = _claim("install, certificate (LSC+SUDI)")
    assert claim.sudi_data is not None
    assert x509.load_der_x509_certificate(unpack_sudi(claim.sudi_data).mic) == _certificate("mic.crt")


def test_the_recorded_sudi_data_fails_in_another_session() -> None:
    claim = _claim("install, certificate (LSC+SUDI)", session_id=99)
    fault = certificate_fault(claim, AuthenticationMode.LSC_FIRST, True, TRUST, RECORDED_AT)
    assert fault is Outcome.INVALID_MIC


def test_the_recorded_certificate_does_not_authorise_another_device() -> None:
    claim = _claim("install, certificate (LSC+SUDI)", device_name="SEP00AABBCCDDEE")
    fault = certificate_fault(claim, AuthenticationMode.LSC_FIRST, True, TRUST, RECORDED_AT)
    assert fault is Outcome.INVALID_CREDENTIALS


def test_the_recorded_strings() -> None:
    assert same_string(_claim("install, password").password, "123456")
    assert not same_string(_claim("install, wrong password").password, "123456")
    assert same_string(_claim("delete").password, "")
