# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phone's connection: the deadline of each phase, the limit of a device, and the form of refusals (P12, P17)."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import socket
import ssl
import subprocess
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capf.network import door
from capf.phone_session import connection
from capf.phone_session.dialogue import Patience
from capf.phone_session.effects import Cause
from capf.phone_session.listener import Limits
from capf.phone_session.wire import Command, Message, Tag, encode, string
from capf.registry import parameters
from support.client import Client
from support.record import CODE, NOW, PHONE, Record
from support.service import Service, serving
from support.waiting import until

STRING = "By Authentication String"
LIMITS = Limits(sessions_per_device=1, handshake_seconds=0.5)
PATIENCE = Patience(authentication=0.5, answer=0.5)


@pytest.fixture
async def service(record: Record, signer: tuple[Any, Any], tmp_path: Path) -> AsyncIterator[Service]:
    """A service with deadlines of half a second, and of zero for keys."""
    record.add(key_order="EC Only", ec_key_size=256)
    record.plan()
    async with serving(record, signer[0], tmp_path, LIMITS, PATIENCE) as running:
        yield running


def hurry(record: Record, minutes: int) -> None:
    """Apply a time for key generation that is shorter than an administrator can set."""
    values = record.run(parameters.stored).values
    wanted = {"Maximum Allowable Time For Key Generation": minutes, "Maximum Allowable Attempts For Key Generation": 0}
    record.context.running = parameters.InForce({**values, **wanted})


def closed(connection: socket.socket) -> bool:
    """Wait for the server to hang up."""
    connection.settimeout(20)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
async def test_p17_the_handshake_has_its_deadline(service: Service, sent: bytes) -> None:
    def silent() -> bool:
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(sent)
            return closed(connection)

    assert await asyncio.to_thread(silent)
    await service.until_empty()


async def test_p17_authentication_has_its_deadline(service: Service, record: Record) -> None:
    def silent() -> None:
        client = Client(service.port, PHONE)
        with pytest.raises(EOFError):
            client.receive()

    await asyncio.to_thread(silent)
    await service.until_empty()
    assert record.operation()["status"] == "Operation Pending"


async def test_p17_key_generation_has_its_deadline(service: Service, record: Record) -> None:
    hurry(record, 0)

    def silent() -> Message:
        client = Client(service.port, PHONE)
        assert client.authenticate().command is Command.KEY_GENERATE_REQUEST
        return client.receive()

    assert (await asyncio.to_thread(silent)).command is Command.END_SESSION
    await service.until_empty()
    assert record.operation()["status"] == "Upgrade Failed: Key Generation Failed/Timeout"


async def test_p17_every_other_answer_has_its_deadline(service: Service, record: Record) -> None:
    def silent() -> Message:
        client = Client(service.port, PHONE)
        client.authenticate()
        client.send_key()
        return client.receive()

    assert (await asyncio.to_thread(silent)).command is Command.END_SESSION
    await service.until_empty()
    operation = record.operation()
    assert (operation["problem"], operation["holder"]) == ("session lost", "")


async def test_p8_p17_a_phone_that_says_again_and_again_that_it_is_busy_has_no_more_time(
    service: Service, record: Record
) -> None:
    def busy() -> None:
        client = Client(service.port, PHONE)
        client.authenticate()
        client.send_key()
        for _index in range(100):
            client.send(Command.REQUEST_IN_PROGRESS, {})
            time.sleep(0.1)

    with pytest.raises(OSError):
        await asyncio.to_thread(busy)
    await service.until_empty()
    assert record.operation()["problem"] == "session lost"


@pytest.mark.tools
async def test_r5_r6_the_kernel_asks_whether_a_silent_phone_is_still_there(service: Service, record: Record) -> None:
    argv = ["ss", "--tcp", "--numeric", "--options", "--no-header", f"sport = :{service.port}"]

    def timers() -> list[str]:
        shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        return re.findall(r"timer:\(keepalive,(\d+)", shown)

    def silent() -> list[str]:
        client = Client(service.port, PHONE)
        assert client.authenticate().command is Command.KEY_GENERATE_REQUEST
        found = until(timers)
        client.close()
        return found

    hurry(record, 1)
    (seconds,) = await asyncio.to_thread(silent)
    assert int(seconds) <= 10
    await service.until_empty()


async def test_p17_a_slow_sender_does_not_move_the_deadline(service: Service) -> None:
    async def slow() -> None:
        client = await asyncio.to_thread(Client, service.port, PHONE)
        with pytest.raises(OSError):
            while True:
                client.send_bytes(b"\x55")
                await asyncio.sleep(0.1)

    await asyncio.wait_for(slow(), 20)
    await service.until_empty()


async def test_p17_a_device_has_its_share(service: Service, record: Record) -> None:
    record.plan_by_string()

    def sessions() -> tuple[Message, Message]:
        first, second = Client(service.port, PHONE), Client(service.port, PHONE)
        assert first.authenticate(CODE).command is Command.KEY_GENERATE_REQUEST
        answers = second.authenticate(CODE), Client(service.port, "SEP00000000000B").authenticate()
        first.close()
        return answers

    ours, of_another = await asyncio.to_thread(sessions)
    assert (ours.command, ours.elements) == (Command.END_SESSION, {int(Tag.REASON): b"\x07"})
    assert of_another.elements == {int(Tag.REASON): b"\x09"}
    await service.until_empty()
    causes = service.backend.refusals.by_cause
    assert (causes[Cause.TOO_MANY_SESSIONS], causes[Cause.IN_SESSION]) == (1, 0)
    assert (await asyncio.to_thread(lambda: Client(service.port, PHONE).authenticate(CODE))).command is not ours.command


async def test_p33_a_strangers_sessions_take_no_place_from_the_phone(service: Service, record: Record) -> None:
    def sessions() -> Client:
        stranger, phone = Client(service.port, PHONE, source="127.0.0.66"), Client(service.port, PHONE)
        assert stranger.authenticate().command is Command.KEY_GENERATE_REQUEST
        assert phone.authenticate().command is Command.KEY_GENERATE_REQUEST
        phone.send_key()
        assert phone.confirm().elements[Tag.REASON] == b"\x01"
        with pytest.raises((EOFError, OSError)):
            stranger.send_key()
        return phone

    await asyncio.to_thread(sessions)
    await service.until_empty()
    assert record.operation()["status"] == "Upgrade Success"


async def test_p17_a_crowd_that_says_nothing_keeps_no_phone_out(
    record: Record, signer: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crowd occupies all places for sessions that have begun, and later makes room."""
    monkeypatch.setattr(door, "_PATIENCE_SECONDS", 0.5)
    record.add(key_order="EC Only", ec_key_size=256)
    record.plan()

    def arrive(port: int) -> Message:
        crowd = [Client(port, "SEP00000000000B") for _unused in range(4)]
        answer = Client(port, PHONE).authenticate()
        for client in crowd:
            client.close()
        return answer

    async with serving(record, signer[0], tmp_path, Limits(128, 128), Patience()) as running:
        answer = await asyncio.to_thread(arrive, running.port)
    assert answer.command is Command.KEY_GENERATE_REQUEST


MOST_LEFT_BYTES = 750


async def test_p15_a_malformed_session_leaves_nothing_behind(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """100 of them leave much less memory than they sent, apart from the log lines that the test keeps."""
    caplog.set_level(logging.CRITICAL, "capf")

    async def held_after(sessions: int) -> int:
        def lead() -> None:
            for _index in range(sessions):
                client = Client(service.port, PHONE)
                client.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
                with pytest.raises((EOFError, OSError)):
                    client.receive()
                client.close()

        await asyncio.to_thread(lead)
        await service.until_empty()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await held_after(20)
        assert await held_after(100) - before < 100 * MOST_LEFT_BYTES
    finally:
        tracemalloc.stop()


class Wire:
    """A client that counts the bytes on the wire."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.received = 0
        self._until(self._tls.do_handshake)

    def _until(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._socket.sendall(self._out.read())
                data = self._socket.recv(65536)
                self.received += len(data)
                self._in.write(data) if data else self._in.write_eof()
            finally:
                self._socket.sendall(self._out.read())

    def refused(self, name: str, password: str) -> tuple[int, list[bytes]]:
        """Authenticate; return the bytes that follow on the wire, and the messages without session id."""
        identifier = int.from_bytes(self._until(lambda: self._tls.read(8192))[2:6], "big")
        elements: dict[int, bytes] = {Tag.VERSION: b"\3", Tag.DEVICE_NAME: string(name), Tag.PASSWORD: string(password)}
        before = self.received
        self._until(lambda: self._tls.write(encode(Message(Command.AUTH_RESPONSE, identifier, elements))))
        messages = []
        while data := self._until(lambda: self._tls.read(8192)):
            messages.append(data[:2] + data[6:])
        self._socket.close()
        return self.received - before, messages


def refused_on_the_wire(port: int, name: str) -> tuple[int, list[bytes]]:
    """Authenticate by a wrong string; return the result of ``Wire.refused``."""
    return Wire(port).refused(name, "00000000")


async def test_p12_every_refusal_looks_and_costs_the_same(service: Service, record: Record, commits: list[int]) -> None:
    wrong, locked, idle = "SEP0000000000C1", "SEP0000000000C2", "SEP0000000000C3"
    for name in (wrong, locked, idle):
        record.add(name, authentication_mode=STRING)
    record.plan(items=[{"device_name": name, "authentication_string": "12345678"} for name in (wrong, locked)])
    for _index in range(10):
        record.claim(locked, password="00000000")
    seen = {}
    for name in ("SEP0000000000C0", wrong, locked, idle):
        acts, before, begin = len(record.acts()), len(commits), time.monotonic()
        size, messages = await asyncio.to_thread(refused_on_the_wire, service.port, name)
        seen[name] = (size, len(messages), {message[:-1] for message in messages}, len(commits) - before)
        took = time.monotonic() - begin
        assert len(record.acts()) == acts
        assert took >= connection._REFUSAL_SECONDS
    assert len({repr(answer) for answer in seen.values()}) == 1, seen
    assert seen[idle][1] == seen[idle][3] == 1


async def test_p12_the_string_is_compared_whoever_comes(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    decrypt = record.context.secrets.decrypt

    def counted(data: bytes, context: str) -> str:
        opened.append(context)
        return decrypt(data, context)

    monkeypatch.setattr(record.context.secrets, "decrypt", counted)
    record.add(authentication_mode=STRING)
    record.claim("SEP0000000000C0", password="1")
    record.claim(password="1")
    record.plan(items=[{"device_name": PHONE, "authentication_string": "12345678"}])
    for _index in range(10):
        record.claim(password="1")
    assert record.times[0] == NOW
    record.claim(password="12345678")
    assert opened == ["", "", *[PHONE] * 11]
