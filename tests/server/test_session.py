# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogue: the messages of the phone, the requests to the record, and the answers."""

from __future__ import annotations

import pytest

from capf.model import KeySpec, Operation, Outcome
from capf.phone_session.dialogue import Patience, dialogue
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
from capf.phone_session.wire import Command, Message, Reason, Tag, pack_certificates, string
from support.verdicts import HELD

SESSION = 7
RSA = (KeySpec(ec=False, bits=2048),)
ISSUED = Issued(b"der", "0a")
INSTALL = Granted(HELD, Operation.INSTALL, RSA, attempts=2)


def phone(command: Command, session_id: int = SESSION, **elements: bytes) -> Message:
    """Return a message of the phone."""
    return Message(command, session_id, {Tag[name]: value for name, value in elements.items()})


def hello(**elements: bytes) -> Message:
    """Return an AUTH_RESPONSE."""
    given: dict[str, bytes] = {
        "VERSION": b"\x03",
        "DEVICE_NAME": string("SEP001122334455"),
        "PASSWORD": string(""),
        **elements,
    }
    return phone(Command.AUTH_RESPONSE, SESSION, **given)


KEY = phone(Command.KEY_GENERATE_RESPONSE, PUBLIC_KEY=b"key")
NO_KEY = phone(Command.KEY_GENERATE_RESPONSE, REASON=b"\x07")
STORED = phone(Command.STORE_CERTIFICATE_RESPONSE, REASON=b"\x01")


def talk(heard: list[Reply], **answers: Reply) -> tuple[list[str], list[Effect]]:
    """Run a dialogue on received messages; return the sent commands, and the other effects."""
    incoming = iter(heard)
    sent: list[str] = []
    asked: list[Effect] = []
    steps = dialogue(SESSION, "192.0.2.1", Patience())
    reply: Reply = None
    try:
        effect = next(steps)
        while True:
            if isinstance(effect, Send):
                reason = effect.message.elements.get(Tag.REASON)
                sent.append(effect.message.command.name + ("" if reason is None else f" {reason[0]}"))
                reply = None
            elif isinstance(effect, Receive):
                reply = next(incoming)
            else:
                asked.append(effect)
                reply = answers.get(type(effect).__name__)
            effect = steps.send(reply)
    except StopIteration:
        assert list(incoming) == []
        return sent, asked


def test_r4_install_asks_for_a_key_and_sends_the_certificate_that_was_recorded() -> None:
    sent, asked = talk([hello(), KEY, STORED], Claim=INSTALL, Issue=ISSUED)
    assert sent == ["AUTH_REQUEST", "KEY_GENERATE_REQUEST", "STORE_CERTIFICATE_REQUEST", "END_SESSION 1"]
    assert asked[1:] == [Issue(HELD, b"key"), Confirm(HELD, ISSUED.serial_number)]


def test_r8_any_number_of_messages_that_a_key_is_under_way() -> None:
    progress = phone(Command.REQUEST_IN_PROGRESS)
    sent, _asked = talk([hello(), *[progress] * 200, KEY, STORED], Claim=INSTALL, Issue=ISSUED)
    assert sent[-1] == "END_SESSION 1"


def test_a_phone_that_cannot_make_a_key_is_asked_again() -> None:
    sent, _asked = talk([hello(), NO_KEY, KEY, STORED], Claim=INSTALL, Issue=ISSUED)
    assert sent.count("KEY_GENERATE_REQUEST") == 2


def test_p8_after_the_last_attempt_key_generation_has_failed() -> None:
    sent, asked = talk([hello(), NO_KEY, NO_KEY], Claim=INSTALL)
    assert sent[-1] == "END_SESSION 7"
    assert asked[-1] == Fail(HELD, Outcome.KEY_GENERATION_FAILED, "the phone could not make a key")


def test_p8_r8_key_generation_past_its_time_fails() -> None:
    sent, asked = talk([hello(), Silence.TIMEOUT], Claim=INSTALL)
    assert asked[-1] == Fail(HELD, Outcome.KEY_GENERATION_FAILED, "no key within the allowed time")
    assert sent[-1] == "END_SESSION 7"


def test_a_certificate_that_the_phone_did_not_store_is_not_done() -> None:
    refusal = phone(Command.STORE_CERTIFICATE_RESPONSE, REASON=b"\x07")
    sent, asked = talk([hello(), KEY, refusal], Claim=INSTALL, Issue=ISSUED)
    assert asked[-1] == Fail(HELD, Outcome.FAILED, "the phone did not store the certificate")
    assert sent[-1] == "END_SESSION 7"


def test_a_key_that_is_refused_ends_the_session_and_sends_no_certificate() -> None:
    sent, _asked = talk([hello(), KEY], Claim=INSTALL, Issue=None)
    assert sent[-1] == "END_SESSION 7"
    assert "STORE_CERTIFICATE_REQUEST" not in sent


@pytest.mark.parametrize("where", [1, 2])
def test_r5_a_lost_connection_is_for_the_phones_retry(where: int) -> None:
    heard: list[Reply] = [hello(), KEY, STORED]
    heard[where] = Silence.LOST
    _sent, asked = talk(heard[: where + 1], Claim=INSTALL, Issue=ISSUED)
    assert asked[-1] == Lost(HELD)


@pytest.mark.parametrize("command", [Command.ABORT_REQUEST, Command.END_SESSION])
def test_p8_r7_the_phone_user_can_stop_at_any_time(command: Command) -> None:
    sent, asked = talk([hello(), phone(command)], Claim=INSTALL)
    assert asked[-1] == Fail(HELD, Outcome.FAILED, "aborted by the phone user")
    assert (sent[-1] == "ABORT_RESPONSE 1") == (command is Command.ABORT_REQUEST)


@pytest.mark.parametrize("reason", [Reason.NO_ACTION, Reason.REJECTED, Reason.UNKNOWN_DEVICE])
def test_a_refusal_ends_the_session_with_its_reason(reason: Reason) -> None:
    assert talk([hello()], Claim=Refused(reason))[0] == ["AUTH_REQUEST", f"END_SESSION {int(reason)}"]


def test_r2_delete_is_confirmed_by_the_phone() -> None:
    deleted = phone(Command.DELETE_CERTIFICATE_RESPONSE, REASON=b"\x01")
    sent, asked = talk([hello(), deleted], Claim=Granted(HELD, Operation.DELETE))
    assert sent[1:] == ["DELETE_CERTIFICATE_REQUEST", "END_SESSION 1"]
    assert asked[-1] == Confirm(HELD)


def test_r27_troubleshoot_fetches_every_certificate() -> None:
    package = pack_certificates(((1, b"lsc"), (2, b"mic")))
    answer = phone(Command.FETCH_CERTIFICATE_RESPONSE, REASON=b"\x01", CERTIFICATE=package)
    sent, asked = talk([hello(), answer], Claim=Granted(HELD, Operation.TROUBLESHOOT))
    assert sent[1:] == ["FETCH_CERTIFICATE_REQUEST", "END_SESSION 0"]
    assert asked[-1] == Fetched(HELD, ((1, b"lsc"), (2, b"mic")))


def test_troubleshoot_of_a_phone_without_certificate_fetches_none() -> None:
    answer = phone(Command.FETCH_CERTIFICATE_RESPONSE, REASON=b"\x07")
    assert talk([hello(), answer], Claim=Granted(HELD, Operation.TROUBLESHOOT))[1][-1] == Fetched(HELD, ())


@pytest.mark.parametrize(
    "answer",
    [
        hello(DEVICE_NAME=b"no nul"),
        hello(DEVICE_NAME=b"\0"),
        hello(VERSION=b"\x01"),
        hello(CERTIFICATE=b"\x01\xff\xff"),
        phone(Command.KEY_GENERATE_RESPONSE),
        phone(Command.AUTH_RESPONSE, session_id=8, VERSION=b"\x03", DEVICE_NAME=string("SEP001122334455")),
    ],
)
def test_an_answer_that_makes_no_sense_is_rejected(answer: Message) -> None:
    sent, asked = talk([answer])
    assert sent == ["AUTH_REQUEST", "END_SESSION 7"]
    assert [type(effect) for effect in asked] == [Protest]


def test_silence_before_the_first_answer_just_ends() -> None:
    for silence in Silence:
        assert talk([silence]) == (["AUTH_REQUEST"], [])


def test_a_version_2_client_gets_the_key_size_alone() -> None:
    steps = dialogue(SESSION, "192.0.2.1", Patience())
    next(steps)
    steps.send(None)
    claim = steps.send(hello(VERSION=b"\x02"))
    assert isinstance(claim, Claim)
    request = steps.send(INSTALL)
    assert isinstance(request, Send)
    assert dict(request.message.elements) == {Tag.KEY_SIZE: b"\x08\x00"}
