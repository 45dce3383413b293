"""Trouble around the server: silent clients (P16)."""

from __future__ import annotations

import json
import resource
import socket
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
