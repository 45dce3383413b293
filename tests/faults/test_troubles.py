"""Trouble around the server: silent clients, password guessers (P16, P28)."""

from __future__ import annotations

import json
import resource
import socket
import ssl
from contextlib import ExitStack

from support.client import Client
from support.enrolment import PHONE as A
from support.enrolment import enrol, schedule
from support.node import RunningNode


def test_p16_silent_and_slow_clients_do_not_keep_a_phone_waiting(node: RunningNode) -> None:
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    schedule(node)
    with ExitStack() as stack:
        for _index in range(2000):
            stack.enter_context(socket.create_connection(("127.0.0.1", node.capf_port)))
        for _index in range(200):
            client = Client(node.capf_port, A)
            stack.callback(client.close)
        enrol(node)


def test_p28_wrong_passwords_are_slowed_down_and_the_right_one_that_is_known_is_not(node: RunningNode) -> None:
    statuses = [node.api("GET", "/service", password=f"wrong-{index}")[0] for index in range(40)]
    assert statuses[:5] == [401] * 5
    assert statuses.count(429) > 30
    assert node.api("GET", "/service")[0] == 200


def test_p28_a_body_that_is_too_large_is_refused(node: RunningNode) -> None:
    context = ssl.create_default_context(cafile=str(node.state / "administration.crt"))
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(b"POST /api/v1/phones HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
            assert b" 413 " in connection.recv(4096).splitlines()[0]


def test_metrics_show_sessions_and_operations(node: RunningNode) -> None:
    schedule(node)
    client = Client(node.capf_port, A)
    text = node.api("GET", "/metrics", base="")[1]
    assert "capf_sessions_open 1.0" in text
    assert 'capf_operations{status="Operation Pending"} 1.0' in text
    assert "capf_phones 1.0" in text and "capf_lsc_active 0.0" in text
    client.close()
    enrol(node)
    assert "capf_lsc_active 1.0" in node.api("GET", "/metrics", base="")[1]


def test_p30_readiness_warns_of_nothing_while_the_capf_certificate_is_young(node: RunningNode) -> None:
    assert node.api("GET", "/readyz", base="")[1] == json.loads('{"ready": true, "problems": [], "warnings": []}')


def test_an_unknown_path_is_not_found(node: RunningNode) -> None:
    assert node.api("GET", "/nothing")[0] == 404
