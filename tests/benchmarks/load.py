# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many phones in one cheap separate process: complete sessions over TLS, with pregenerated EC keys."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from capf.phone_session.wire import Command, Message, Reader, Tag, encode, string
from support.client import new_public_key
from support.node import RunningNode

T = TypeVar("T")
_SECONDS = 300.0
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE


async def _ready(wait: Callable[[], T], connection: socket.socket) -> T:
    """Call ``wait`` until it no longer has to wait for the network; return its result."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return wait()
        except ssl.SSLWantReadError:
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(connection)


class Phone:
    """One connection; every method is a step of the session."""

    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self._name = name
        self._messages = Reader()
        self._identifier = 0
        self.socket = socket.socket()

    async def connect_tcp(self) -> None:
        """Connect, and say nothing."""
        self.socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(self.socket, ("127.0.0.1", self._port))

    async def connect(self) -> None:
        """Connect, start TLS and receive AUTH_REQUEST."""
        await self.connect_tcp()
        self.socket = self._tls = _TLS.wrap_socket(self.socket, do_handshake_on_connect=False)
        await _ready(self._tls.do_handshake, self.socket)
        self._identifier = (await self.receive()).session_id

    async def receive(self) -> Message:
        """Return the server's next message; EOFError if it has closed the connection."""
        while (message := self._messages.next_message()) is None:
            data = await _ready(lambda: self._tls.recv(16384), self.socket)
            if not data:
                raise EOFError("the server has closed")
            self._messages.feed(data)
        return message

    async def ask(self, command: Command, elements: dict[int, bytes], expected: Command) -> Message:
        """Send a message; return the answer, which must be ``expected``."""
        self._tls.send(encode(Message(command, self._identifier, elements)))
        answer = await self.receive()
        if answer.command is not expected:
            raise EOFError(f"{answer.command.name} {dict(answer.elements)} in place of {expected.name}")
        return answer

    async def authenticate(self, password: str = "", expected: Command = Command.KEY_GENERATE_REQUEST) -> Message:
        """Send the phone's claim."""
        name = string(self._name)
        elements = {Tag.VERSION: b"\3", Tag.DEVICE_NAME: name, Tag.PASSWORD: string(password)}
        return await self.ask(Command.AUTH_RESPONSE, {int(tag): elements[tag] for tag in elements}, expected)

    async def finish(self, key: bytes) -> None:
        """Send the key, receive the certificate, and confirm it."""
        elements = {int(Tag.PUBLIC_KEY): key}
        await self.ask(Command.KEY_GENERATE_RESPONSE, elements, Command.STORE_CERTIFICATE_REQUEST)
        await self.ask(Command.STORE_CERTIFICATE_RESPONSE, {int(Tag.REASON): b"\1"}, Command.END_SESSION)

    async def trickle(self) -> None:
        """Send a message, one byte per second."""
        with contextlib.suppress(OSError):
            for byte in encode(Message(Command.AUTH_RESPONSE, self._identifier, {int(Tag.DEVICE_NAME): bytes(600)})):
                self._tls.send(bytes((byte,)))
                await asyncio.sleep(1)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Job:
    """A phone and the public key that it will send."""

    name: str
    key: bytes


def prepare(node: RunningNode, count: int, number: int, *, scheduled: bool = True, **settings: object) -> list[Job]:
    """Register phones, and schedule them."""
    names = [f"SEP{number:02X}{index:010X}" for index in range(count)]
    phones = [{"device_name": name, "key_order": "EC Only", "ec_key_size": 256, **settings} for name in names]
    node.ok("POST", "/phones", {"phones": phones})
    if scheduled:
        node.schedule(*names)
    return [Job(name, new_public_key()) for name in names]


@dataclass(slots=True)
class Figures:
    """Seconds of each session and in total, and the errors."""

    sessions: list[float] = field(default_factory=list)
    total: float = 0.0
    failures: list[str] = field(default_factory=list)

    def milliseconds(self, share: float) -> float:
        """Return a percentile of the sessions."""
        ranked = sorted(self.sessions)
        return ranked[min(int(len(ranked) * share), len(ranked) - 1)] * 1000


async def timed(jobs: Sequence[Awaitable[None]], figures: Figures, at_once: int) -> None:
    """Run sessions, ``at_once`` of them at a time, and collect their seconds and failures."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            begin = time.perf_counter()
            try:
                await asyncio.wait_for(job, _SECONDS)
            except (OSError, EOFError, TimeoutError) as error:
                figures.failures.append(repr(error))
            else:
                figures.sessions.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _index in range(min(at_once, len(jobs)))))
    figures.total = time.perf_counter() - begin


async def install(port: int, job: Job) -> None:
    """Run one complete session."""
    phone = Phone(port, job.name)
    try:
        await phone.connect()
        await phone.authenticate()
        await phone.finish(job.key)
    finally:
        phone.close()


async def install_all(pipe: Connection, port: int, jobs: list[Job], at_once: int) -> None:
    """Run all sessions, some concurrently; send the figures."""
    figures = Figures()
    await timed([install(port, job) for job in jobs], figures, at_once)
    pipe.send(figures)


@contextlib.contextmanager
def client(scenario: Callable[..., Awaitable[Any]], *arguments: Any) -> Iterator[Connection]:
    """Run ``scenario(pipe, *arguments)`` in a separate process; yield the other end of its pipe."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run, args=(scenario, theirs, *arguments))
    process.start()
    try:
        yield ours
    finally:
        process.join(_SECONDS)
        process.kill()


def _run(scenario: Callable[..., Awaitable[Any]], pipe: Connection, *arguments: Any) -> None:
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def main() -> None:
        await scenario(pipe, *arguments)

    asyncio.run(main())
