# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many and malicious clients of a real process: silence, exhausted file descriptors, old TLS (P16, P17, P20)."""

from __future__ import annotations

import re
import resource
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from support import besieged
from support.client import Client
from support.enrolment import PHONE, enrol, enrol_by_retries, schedule
from support.node import RunningNode

SILENT, SILENT_AFTER_TLS, SLOW = 2000, 200, 200
BESIEGED_SECONDS = 5


@contextmanager
def trickle(clients: list[Client]) -> Iterator[None]:
    """Send one byte per second from each client."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(1):
            for client in clients:
                with suppress(OSError):
                    client.send_bytes(b"\x55")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.timed
def test_p16_silent_and_slow_clients_do_not_keep_a_phone_waiting(node: RunningNode) -> None:
    """AUTH_REQUEST arrives within 250 ms (99th percentile of 100), and a complete session succeeds."""
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    schedule(node)
    with ExitStack() as stack:
        for _index in range(SILENT):
            stack.enter_context(socket.create_connection(("127.0.0.1", node.capf_port)))
        clients = [Client(node.capf_port, PHONE) for _index in range(SILENT_AFTER_TLS + SLOW)]
        for client in clients:
            stack.callback(client.close)
        stack.enter_context(trickle(clients[:SLOW]))
        assert besieged.percentile(lambda: Client(node.capf_port, PHONE).close()) <= besieged.PHONE_SECONDS
        enrol(node)


def processor_seconds(node: RunningNode) -> float:
    """Return the processor time of the server process."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_p17_no_file_descriptor_left_is_survived_without_spinning(node: RunningNode) -> None:
    schedule(node)
    assert node.process is not None
    pid = node.process.pid
    limit = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 5
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    with ExitStack() as stack:
        for _index in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", node.capf_port)))
        time.sleep(1)
        begin = processor_seconds(node)
        time.sleep(BESIEGED_SECONDS)
        assert processor_seconds(node) - begin < BESIEGED_SECONDS / 5
        log = node.log.read_text()
        complaints = re.findall("event=(accept-failed|makes-room|limit) ", log)
        assert complaints and len(complaints) == len(set(complaints)), log
        assert "Traceback" not in log
    enrol_by_retries(node)


def old(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a client's context for only one version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("version", "named", "level"),
    [
        (ssl.TLSVersion.TLSv1, "TLSv1", "WARNING"),
        (ssl.TLSVersion.TLSv1_1, "TLSv1.1", "WARNING"),
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2", "INFO"),
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3", "INFO"),
    ],
)
def test_p20_a_session_says_its_tls_version_and_warns_of_an_old_one(
    tmp_path: Path, version: ssl.TLSVersion, named: str, level: str
) -> None:
    node = RunningNode(tmp_path / "node")
    node.config.write_text(node.config.read_text().replace("[capf]\n", "[capf]\nallow_tls_1_0 = true\n"))
    node.start().activate()
    try:
        client = Client(node.capf_port, PHONE, tls=old(version))
        client.authenticate()
        client.close()
    finally:
        node.stop()
    (line,) = [line for line in node.log.read_text().splitlines() if "event=claim" in line]
    assert f" tls={named} " in line and f"level={level} " in line
