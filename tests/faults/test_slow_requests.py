# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Large, slow and endless requests to administration and files are ended (P28)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.enrolment import enrol, schedule
from support.node import RunningNode
from support.requesting import PASSWORD, token

LONG = 60
ANOTHER = "SEPAAAAAAAAAAAA"
POST = b"POST /api/v1/phones HTTP/1.1\r\nHost: x\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """An activated node for all these clients."""
    node = RunningNode(tmp_path_factory.mktemp("busy") / "node").start()
    node.activate()
    yield node
    node.stop()


def connect(node: RunningNode, where: str) -> socket.socket:
    """Connect to the administration port or to the files port."""
    if where == "files":
        return socket.create_connection(("127.0.0.1", node.files_port), timeout=LONG)
    context = ssl.create_default_context(cafile=str(node.state / "administration.crt"))
    raw = socket.create_connection(("127.0.0.1", node.port), timeout=LONG)
    return context.wrap_socket(raw, server_hostname="127.0.0.1")


def login(password: str = PASSWORD) -> bytes:
    """Return the header that logs in."""
    return f"Authorization: Basic {token(password)}\r\n".encode()


def until_closed(connection: socket.socket, drip: bytes) -> bytes:
    """Send one byte per second until the server hangs up; return its answer."""
    said = b""
    limit = time.monotonic() + LONG
    connection.settimeout(1)
    while time.monotonic() < limit:
        with suppress(TimeoutError):
            try:
                data = connection.recv(4096)
                said += data
                if not data:
                    return said
                connection.sendall(drip)
            except (ConnectionError, ssl.SSLError):
                return said
            continue
        with suppress(ConnectionError, ssl.SSLError):
            connection.sendall(drip)
    raise AssertionError("the server goes on listening")


def status_of(connection: socket.socket) -> int:
    """Return the status of the answer."""
    return int(connection.recv(4096).split()[1])


@pytest.mark.parametrize("where", ["administration", "files"])
def test_p28_headers_of_a_byte_a_second_are_cut_off(busy: RunningNode, where: str) -> None:
    with connect(busy, where) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert b" 200 " not in until_closed(connection, b"x")


@pytest.mark.parametrize("where", ["administration", "files"])
def test_p28_a_flood_of_headers_is_refused(busy: RunningNode, where: str) -> None:
    with connect(busy, where) as connection, suppress(ConnectionError, ssl.SSLError):
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + b"X-Header: value\r\n" * 5000)
        assert status_of(connection) in (400, 431)


@pytest.mark.parametrize("where", ["administration", "files"])
def test_p28_silence_is_cut_off(busy: RunningNode, where: str) -> None:
    with connect(busy, where) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "head", [b"Content-Length: 9999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"], ids=["whole", "chunked"]
)
def test_p28_a_body_of_a_byte_a_second_is_cut_off(busy: RunningNode, head: bytes) -> None:
    with connect(busy, "administration") as connection:
        connection.sendall(POST + login() + b"Content-Type: application/json\r\n" + head)
        drip = b"1\r\n \r\n" if b"chunked" in head else b" "
        assert b" 408 " in until_closed(connection, drip)


def test_p28_the_files_port_waits_for_no_body(busy: RunningNode) -> None:
    with connect(busy, "files") as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n")
        assert b" 404 " in until_closed(connection, b" ")


def test_p28_a_body_that_is_announced_too_large_is_refused(busy: RunningNode) -> None:
    with connect(busy, "administration") as connection:
        connection.sendall(POST + b"Content-Length: 99999999999\r\n\r\n")
        assert status_of(connection) == 413


def test_p28_a_chunked_body_that_becomes_too_large_is_refused(busy: RunningNode) -> None:
    with connect(busy, "administration") as connection:
        connection.sendall(POST + login() + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError, ssl.SSLError):
            for _index in range(1100):
                connection.sendall(CHUNK)
        assert status_of(connection) == 413


@pytest.mark.parametrize("header", [b"", login("wrong-password")], ids=["nobody", "wrong password"])
def test_p28_only_the_administrator_may_send_much(busy: RunningNode, header: bytes) -> None:
    with connect(busy, "administration") as connection:
        connection.sendall(POST + header + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 2)
        assert status_of(connection) == 401


def test_p28_phones_are_served_beside_all_that(busy: RunningNode) -> None:
    schedule(busy)
    clients = [connect(busy, where) for where in ("administration", "files") for _index in range(50)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
    enrol(busy)
    for client in clients:
        client.close()


def fetch_report(node: RunningNode) -> socket.socket:
    """Request the report and read only the status."""
    connection = connect(node, "administration")
    body = b'{"format": "csv"}'
    head = b"POST /api/v1/reports/capf HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection.sendall(head + login() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def test_p28_reports_that_nobody_reads_hold_no_phone_up(busy: RunningNode) -> None:
    """They are more than the allowed concurrent downloads, and their resources are released afterwards."""
    names = [f"SEP{index:012X}" for index in range(10_000)]
    long = dict.fromkeys(("description", "device_pool", "device_type", "security_profile"), "x" * 255)
    busy.ok("POST", "/phones", {"phones": [{"device_name": name, **long} for name in names]})
    schedule(busy, ANOTHER)
    clients = [fetch_report(busy) for _index in range(20)]
    statuses = [int(client.recv(12).split()[1]) for client in clients]
    assert set(statuses) == {200, 503}
    enrol(busy, ANOTHER)
    assert busy.api("GET", "/readyz", base="")[0] == 200
    for client in clients:
        client.close()
    again: list[socket.socket] = []
    limit = time.monotonic() + LONG
    while len(again) < statuses.count(200):
        assert time.monotonic() < limit, "what the clients held is not given back"
        again.append(fetch_report(busy))
        if again[-1].recv(12).split()[1] != b"200":
            again.pop().close()
    for client in again:
        client.close()
