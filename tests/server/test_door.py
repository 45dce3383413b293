# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each door has its own limit, and connections make room when it is reached (P32)."""

from __future__ import annotations

import asyncio
import resource
import socket
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from capf.administration import readiness
from capf.administration.readiness import CheckResult, Readiness
from capf.api.application import application
from capf.network import door
from capf.network.descriptors import Descriptors
from capf.network.door import Bounds, Door, Guest
from capf.node import configuration
from capf.phone_files import http_server
from capf.phone_session.dialogue import Patience
from capf.phone_session.listener import Limits
from capf.phone_session.wire import Command
from capf.process import web
from capf.process.server import Server
from capf.process.web import Web
from capf.registry import health
from support.asgi import ask, login
from support.client import Client
from support.node import RunningNode, free_ports
from support.record import PHONE, Record
from support.requesting import PASSWORD
from support.service import serving

OURS, FLOOD, OTHERS = "127.0.0.1", "127.0.0.2", "127.0.0.3"
MONITORS = ("192.0.2.7", "2001:db8::/64")


def connect(port: int, address: str = OURS, sends: bytes = b"") -> socket.socket:
    """Connect from a loopback address, and send something."""
    connection = socket.create_connection(("127.0.0.1", port), 10, (address, 0))
    connection.sendall(sends)
    return connection


def is_open(connection: socket.socket) -> bool:
    """Return whether the server has the connection open."""
    connection.setblocking(False)
    try:
        return connection.recv(4096) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


async def until(look: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is true while the event loop runs."""
    async with asyncio.timeout(seconds):
        while not look():
            await asyncio.sleep(0.005)


class Opened:
    """An open door; ``begun`` are the guests that have sent something."""

    def __init__(self, places: int, of_address: int, descriptors: Callable[[], int] | None = None) -> None:
        self.begun: list[Guest] = []
        (self.port,) = free_ports(1)
        self.door = Door("test", Bounds(places, of_address, 10), self.begun.append, descriptors)
        self.connections: list[socket.socket] = []

    async def connect(self, address: str = OURS, sends: bytes = b"") -> socket.socket:
        """Connect, and wait until the door has accepted the connection."""
        begun = len(self.begun)
        self.connections.append(connect(self.port, address, sends))
        await asyncio.sleep(0.02)
        await until(lambda: not sends or len(self.begun) > begun)
        return self.connections[-1]


@asynccontextmanager
async def opened(places: int, of_address: int, descriptors: Callable[[], int] | None = None) -> AsyncIterator[Opened]:
    """Open a door, and close it at the end."""
    it = Opened(places, of_address, descriptors)
    it.door.open(["127.0.0.1"], it.port)
    try:
        yield it
    finally:
        it.door.close()
        for guest in it.begun:
            it.door.leave(guest)
            guest.hang_up()
        for connection in it.connections:
            connection.close()


async def test_p32_the_connection_that_has_been_silent_longest_makes_room() -> None:
    async with opened(3, 3) as there:
        first, second, third = [await there.connect() for _index in range(3)]
        fourth = await there.connect()
        assert [is_open(item) for item in (first, second, third, fourth)] == [False, True, True, True]
        assert there.door.guests == 3


async def test_p32_a_connection_that_speaks_is_not_the_one_that_was_silent_longest() -> None:
    async with opened(64, 64) as there:
        first, second = await there.connect(), await there.connect()
        first.sendall(b"x")
        await until(lambda: there.begun)
        for _index in range(63):
            await there.connect()
        assert is_open(first) and not is_open(second)


async def test_p32_the_address_that_has_most_makes_room_first() -> None:
    async with opened(4, 4) as there:
        phone = await there.connect(OURS)
        flood = [await there.connect(FLOOD) for _index in range(3)]
        other = await there.connect(OTHERS)
        assert is_open(phone) and is_open(other)
        assert [is_open(item) for item in flood] == [False, True, True]


async def test_p32_an_address_has_its_share_and_makes_room_for_itself() -> None:
    async with opened(10, 2) as there:
        first, second, third = [await there.connect(FLOOD) for _index in range(3)]
        assert [is_open(item) for item in (first, second, third)] == [False, True, True]
        assert is_open(await there.connect(OURS))


async def test_p32_who_is_busy_makes_room_for_nobody() -> None:
    async with opened(2, 2) as there:
        busy = []
        for index in range(2):
            busy.append(await there.connect(sends=b"x"))
            there.door.busy(there.begun[index])
        assert not is_open(await there.connect())
        assert all(map(is_open, busy))
        there.door.idle(there.begun[0])
        assert is_open(await there.connect(FLOOD))
        assert [is_open(item) for item in busy] == [False, True]


@pytest.mark.timed
async def test_p32_few_begin_without_a_whole_request_and_addresses_take_turns() -> None:
    """The first bytes from one address do not delay other addresses."""
    async with opened(320, 320) as there:
        for _index in range(60):
            there.connections.append(connect(there.port, FLOOD, b"x"))
        await until(lambda: len(there.begun) == 10)
        await asyncio.sleep(0.1)
        assert len(there.begun) == 10
        begin = time.monotonic()
        ours = await there.connect(OURS, b"x")
        assert time.monotonic() - begin < 0.25
        assert there.begun[-1].peer == OURS and is_open(ours)
        assert sum(not guest.gone for guest in there.begun) == 10


async def test_p32_what_is_kept_for_addresses_goes_with_them() -> None:
    async with opened(3200, 3200) as there:
        for number in range(2, 60):
            await there.connect(f"127.0.0.{number}", b"x" if number % 2 else b"")
        for guest in there.begun:
            there.door.leave(guest)
            guest.hang_up()
        for connection in there.connections:
            connection.close()
        await until(lambda: there.door.guests == 0)
        kept = vars(there.door)
        assert not kept["_addresses"] and not kept["_arrived"] and not kept["_bare"]
        assert not len(kept["_silent"]) and not len(kept["_unfinished"])


async def test_p32_a_door_out_of_descriptors_makes_room_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(100, 100) as there:
        mine = [await there.connect() for _index in range(5)]
        waiting = [socket.socket() for _index in range(20)]
        used = max(connection.fileno() for connection in waiting) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        try:
            with ExitStack() as stack:
                for connection in waiting:
                    stack.callback(connection.close)
                    connection.setblocking(False)
                    connection.connect_ex(("127.0.0.1", there.port))
                await asyncio.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not is_open(mine[0])
    said = [record.getMessage() for record in caplog.records]
    assert sum("event=accept-failed" in line for line in said) == 1
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("limit", [64, 1000, 20_000, 65_536, resource.RLIM_INFINITY])
def test_p32_descriptors_are_shared_so_that_phones_and_the_server_itself_have_theirs(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _unused: (limit, limit))
    shares = Descriptors(1000, 4000, 10)
    others = shares.administration() + shares.files()
    assert shares.administration() >= 1 and shares.files() >= 1
    assert others <= 5000 and shares.capf() >= others
    if limit != resource.RLIM_INFINITY:
        assert limit - others - shares.capf() >= min(240, limit // 4)
    if limit in (65_536, resource.RLIM_INFINITY):
        assert (shares.administration(), shares.files()) == (1000, 4000) and shares.capf() >= 10_000


async def test_p32_a_door_keeps_to_the_descriptors_that_are_left() -> None:
    left = [100]
    async with opened(100, 50, lambda: left[0]) as there:
        for number in range(40):
            await there.connect(f"127.0.0.{2 + number % 4}")
        left[0] = 20
        await until(lambda: there.door.guests <= 20)
        for _index in range(15):
            await there.connect(OURS)
        assert there.door.guests <= 20 and sum(map(is_open, there.connections[-15:])) >= 4


def test_p32_by_default_one_address_leaves_room_for_others() -> None:
    for settings in (
        configuration.parse("[server]\nstate_directory = '/srv'\n"),
        configuration.parse(
            "[server]\nstate_directory = '/srv'\n[capf]\nmaximum_sessions = 100\n"
            "[files]\nmaximum_connections = 100\n[administration]\nmaximum_connections = 100\n"
        ),
    ):
        for name in ("", "administration_", "files_"):
            kind = "connections" if name else "sessions"
            places = getattr(settings, f"{name}maximum_{kind}")
            assert getattr(settings, f"{name}maximum_{kind}_per_address") == places // 2
    assert Limits().sessions_per_address < Limits().sessions


async def test_p32_a_phone_that_makes_its_key_is_never_closed_for_room(
    record: Record, signer: tuple[Any, Any], tmp_path: Path
) -> None:
    record.add(key_order="EC Only", ec_key_size=256)
    record.plan()

    def session(port: int) -> None:
        phone = Client(port, PHONE)
        assert phone.authenticate().command is Command.KEY_GENERATE_REQUEST
        flood = [connect(port, address) for address in (OURS, FLOOD) * 10]
        idle = Client(port, "SEP00000000000B", tls=None)
        assert phone.send_key()
        assert phone.confirm().command is Command.END_SESSION
        assert sum(map(is_open, flood)) < 3
        closing: list[socket.socket | Client] = [*flood, phone, idle]
        for connection in closing:
            connection.close()

    limits = Limits(sessions=3, sessions_per_address=3)
    async with serving(record, signer[0], tmp_path, limits, Patience()) as running:
        await asyncio.to_thread(session, running.port)


@pytest.mark.timed
async def test_p16_auth_request_comes_in_a_quarter_of_a_second(
    record: Record, signer: tuple[Any, Any], tmp_path: Path
) -> None:
    def seconds(port: int) -> float:
        silent = [connect(port) for _index in range(50)] + [connect(port, FLOOD, b"\x16") for _index in range(50)]
        begin = time.perf_counter()
        client = Client(port, PHONE)
        taken = time.perf_counter() - begin
        closing: list[socket.socket | Client] = [*silent, client]
        for connection in closing:
            connection.close()
        return taken

    async with serving(record, signer[0], tmp_path, Limits(), Patience()) as running:
        assert await asyncio.to_thread(seconds, running.port) < 0.25


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A first node in this process without open ports."""
    node = RunningNode(tmp_path_factory.mktemp("doors") / "node")
    server = Server(configuration.load(node.config))
    yield server
    server.store.close()


@pytest.fixture(autouse=True)
def looks_again(request: pytest.FixtureRequest) -> None:
    """Bind the server's readiness to the event loop of this test."""
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        server.readiness = Readiness(server.store, server.context)


@asynccontextmanager
async def administration(server: Server, places: int) -> AsyncIterator[tuple[int, ssl.SSLContext, Web]]:
    """Serve the administration port with this limit of connections; yield the port and a client's context."""
    directory = server._directory
    tls = web.tls_context(str(directory.administration_certificate), str(directory.administration_key))
    stop, (port,) = asyncio.Event(), free_ports(1)
    running = Web("administration", application(server, MONITORS), tls, places, places)
    task = asyncio.create_task(running.serve(["127.0.0.1"], port, stop.wait))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    await asyncio.sleep(0.01)
    try:
        yield port, client, running
    finally:
        stop.set()
        await task


LONG_POLL = b"GET /api/v1/events?wait=2 HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n" % login(PASSWORD)
POST = b"POST /api/v1/phones HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
UNFINISHED = {
    "a handshake": b"",
    "half a header": b"GET /healthz HTTP/1.1\r\nX: ",
    "half a body": POST + b"%s: %s\r\n\r\n{" % login(PASSWORD),
    "an answered request": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sends", UNFINISHED.values(), ids=UNFINISHED)
async def test_p32_a_long_poll_stays_and_what_is_unfinished_makes_room(
    server: Server, sends: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_PATIENCE_SECONDS", 0.1)

    def client(port: int, tls: ssl.SSLContext, sends: bytes) -> ssl.SSLSocket:
        connection = tls.wrap_socket(connect(port))
        connection.sendall(sends)
        time.sleep(0.3)
        return connection

    def story(port: int, tls: ssl.SSLContext) -> None:
        poll, unfinished = client(port, tls, LONG_POLL), client(port, tls, sends)
        flood = [connect(port, FLOOD) for _index in range(6)]
        third = client(port, tls, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in third.recv(4096)
        unfinished.settimeout(5)
        while unfinished.recv(4096):
            pass
        poll.settimeout(10)
        assert b" 200 " in poll.recv(4096)
        for connection in (poll, unfinished, third, *flood):
            connection.close()

    async with administration(server, 2) as (port, tls, _running):
        await asyncio.to_thread(story, port, tls)


@pytest.mark.parametrize("sends", [*UNFINISHED.values(), LONG_POLL], ids=[*UNFINISHED, "a long poll"])
async def test_p32_a_client_that_is_gone_holds_no_place(server: Server, sends: bytes) -> None:
    """Hypercorn itself waits ten more seconds for the next request."""

    def visit(port: int, tls: ssl.SSLContext) -> None:
        with tls.wrap_socket(connect(port)) as connection:
            connection.sendall(sends)
            if sends == UNFINISHED["an answered request"]:
                assert b" 200 " in connection.recv(4096)
            if sends == LONG_POLL:
                time.sleep(0.5)

    async with administration(server, 10) as (port, tls, running):
        for _visit in range(3):
            await asyncio.to_thread(visit, port, tls)
        await until(lambda: running._door.guests == 0, 5)


async def test_p32_tls_begins_with_the_first_byte_and_for_few_at_a_time(server: Server) -> None:
    async with administration(server, 128) as (port, _tls, running):
        silent = [connect(port, FLOOD) for _index in range(20)]
        await asyncio.sleep(0.1)
        assert len(running._tasks) == 0
        half = [connect(port, OTHERS, b"\x16") for _index in range(20)]
        await until(lambda: running._tasks)
        await asyncio.sleep(0.1)
        assert len(running._tasks) == 4
        for connection in (*silent, *half):
            connection.close()


OPEN = {"/healthz", "/readyz"}
NUMBERS = {"/metrics", "/openapi.json"}


async def test_p32_nothing_without_a_login_costs_a_commit(server: Server, commits: list[int]) -> None:
    """Request every route of both doors without a login and with a wrong one; the routes come from the applications."""
    # The look at the database, which may commit, is not what is counted: this result stays new for the whole test.
    server.readiness._state = CheckResult(health.NodeHealth([], []), asyncio.get_running_loop().time() + 600)
    app = application(server, MONITORS)
    hidden: dict[str, Any] = {route.path: {"get": {}} for route in app.routes if isinstance(route, APIRoute)}
    routes = {**app.openapi()["paths"], **hidden}
    assert set(routes) > OPEN | NUMBERS and len(routes) > 30
    before = len(commits)
    for path, methods in routes.items():
        for method, password in product(methods, (None, "wrong")):
            answer = await ask(app, method.upper(), path, password=password)
            assert answer.status in ((200,) if path in OPEN else (401, 429)), (method, path, answer.body)
    folder = http_server.application(server.store, server.context, "127.0.0.1", server.folder)
    for path in ("/CTLFile.tlv", "/SEP00000000000A.cnf.xml", "/nothing", "/../capf.db"):
        await ask(folder, "GET", path)
    assert len(commits) == before


@pytest.mark.parametrize("path", sorted(NUMBERS))
async def test_p32_numbers_are_for_monitors_and_for_the_administrator(server: Server, path: str) -> None:
    app = application(server, MONITORS)
    for client, password, wanted in (
        ("192.0.2.7", None, 200), ("2001:db8::1:2", None, 200), ("::ffff:192.0.2.7", None, 200),
        ("192.0.2.8", None, 401), ("2001:db8:1::1", None, 401), ("192.0.2.8", PASSWORD, 200),
    ):  # fmt: skip
        assert (await ask(app, "GET", path, client=client, password=password)).status == wanted, client


async def test_p32_readiness_is_at_most_five_seconds_old(server: Server) -> None:
    app, checked, now = application(server, ()), server.readiness, asyncio.get_running_loop().time()
    seen = health.NodeHealth(["seen"], [])
    checked._state = CheckResult(seen, now - 4.5)
    assert (await ask(app, "GET", "/readyz")).status == 503
    checked._state = CheckResult(seen, now - 5.5)
    late = asyncio.create_task(ask(app, "GET", "/readyz"))
    _done, waiting = await asyncio.wait([late], timeout=0.2)
    assert waiting == {late}
    look = asyncio.create_task(checked.run())
    assert (await late).status == 200
    look.cancel()


async def test_p32_a_database_that_does_not_answer_is_a_problem_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "MAXIMUM_AGE_SECONDS", 0.3)
    app = application(server, ())
    with closing(sqlite3.connect(server._directory.path / "capf.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        look = asyncio.create_task(server.readiness.run())
        begin = time.monotonic()
        answer = await ask(app, "GET", "/readyz")
        assert time.monotonic() - begin < 2
        assert (answer.status, answer.json["problems"]) == (503, [readiness.UNANSWERED])
        other.execute("ROLLBACK")
    look.cancel()
