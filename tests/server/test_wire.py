# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire format: any bytes, split anywhere, result in a message, "need more", or one error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf.phone_session.wire import (
    HEADER_BYTES,
    MAXIMUM_PAYLOAD,
    Command,
    Message,
    Reader,
    Sudi,
    Tag,
    WireError,
    decode,
    encode,
    pack_certificates,
    pack_sudi,
    string,
    unpack_certificates,
    unpack_sha2,
    unpack_sudi,
)

elements = st.dictionaries(st.integers(0, 255), st.binary(max_size=300), max_size=8)
messages = st.builds(Message, st.sampled_from(Command), st.integers(0, 2**32 - 1), elements)


@given(messages)
def test_every_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.lists(messages, max_size=4), st.data())
def test_p14_messages_are_found_in_any_split(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    reader, found = Reader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        stream = stream[size:]
        while (message := reader.next_message()) is not None:
            found.append(message)
    assert found == sent


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda data: b"\x55" + data)))
def test_p14_any_bytes_give_a_message_or_need_more_or_one_error(data: bytes) -> None:
    reader = Reader()
    reader.feed(data)
    try:
        message = reader.next_message()
    except WireError:
        return
    assert message is None or encode(message)[:2] == data[:2]


@given(st.binary(max_size=200))
def test_p14_packages_are_read_or_refused(data: bytes) -> None:
    for unpack in (unpack_certificates, unpack_sha2, unpack_sudi):
        try:
            unpack(data)
        except WireError:
            continue


def test_certificates_and_sudi_survive_packing() -> None:
    pairs = ((1, b"lsc"), (2, b"mic"))
    assert unpack_certificates(pack_certificates(pairs)) == pairs
    sudi = Sudi(b"mic", b"one", b"two")
    assert unpack_sudi(pack_sudi(sudi)) == sudi


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x56", "protocol id is 0x56"),
        (b"\x55\x63" + b"\0" * 6, "command 99 is unknown"),
        (b"\x55\x01\0\0\0\0" + (MAXIMUM_PAYLOAD + 1).to_bytes(2, "big"), "payload has 16385 bytes"),
        (b"\x55\x01\0\0\0\0\0\x03\x01\0\x05", "payload is cut off at byte 0"),
        (b"\x55\x01\0\0\0\0\0\x06\x01\0\0\x01\0\0", "duplicate element 1"),
    ],
)
def test_p14_damage_is_named_as_soon_as_it_is_certain(data: bytes, says: str) -> None:
    reader = Reader()
    reader.feed(data)
    with pytest.raises(WireError, match=says):
        reader.next_message()


def test_an_unknown_element_is_skipped_however_often_it_stands() -> None:
    message = decode(b"\x55\x01\0\0\0\0\0\x0c\x0e\0\x01a\x0e\0\x01b\x0a\0\x01\x07")
    assert message.number(Tag.KEY_SIZE) == 7


@pytest.mark.parametrize("value", [b"", b"abc", b"a\0b\0", b"\xff\0"])
def test_a_string_is_ascii_with_one_nul_at_its_end(value: bytes) -> None:
    with pytest.raises(WireError):
        Message(Command.AUTH_RESPONSE, 1, {Tag.DEVICE_NAME: value}).text(Tag.DEVICE_NAME)


def test_text_and_numbers_are_read() -> None:
    message = Message(Command.AUTH_RESPONSE, 1, {Tag.DEVICE_NAME: string("SEP"), Tag.KEY_SIZE: b"\x08\x00"})
    assert message.text(Tag.DEVICE_NAME) == "SEP"
    assert message.number(Tag.KEY_SIZE) == 2048
    assert message.number(Tag.CURVE) is None


def test_a_header_alone_needs_more() -> None:
    reader = Reader()
    reader.feed(b"\x55\x01\0\0\0\0\0\x01"[:HEADER_BYTES])
    assert reader.next_message() is None
