# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example hooks, run by a user without rights against a real Kamailio on loopback (P61)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.node import free_ports

ROOT = Path(__file__).parents[2]
NOBODY = 65534
HERE, ELSEWHERE = "SEP00000000000A", "SEP00000000000B"
CONFIGURATION = """
listen=udp:127.0.0.1:{sip}
children=1
loadmodule "jsonrpcs.so"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "udp:127.0.0.1:{rpc}")
request_route {{
    if (method == "REGISTER") {{ save("location"); exit; }}
}}
"""
REGISTER = (
    "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    "From: <sip:{name}@127.0.0.1>;tag=1\r\nTo: <sip:{name}@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
    "Contact: <sip:{name}@127.0.0.1:{port}>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
)


@contextmanager
def phone(sip: int) -> Iterator[socket.socket]:
    """A phone that is registered with Kamailio."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.settimeout(1)
        text = REGISTER.format(name=HERE, port=own.getsockname()[1])
        answer = b""
        until = time.monotonic() + 20
        while not answer.startswith(b"SIP/2.0 200") and time.monotonic() < until:
            with suppress(OSError):
                own.sendto(text.encode(), ("127.0.0.1", sip))
                answer = own.recv(65535)
        assert answer.startswith(b"SIP/2.0 200"), answer
        own.settimeout(10)
        yield own


@pytest.fixture
def kamailio() -> Iterator[tuple[int, int]]:
    """A Kamailio on loopback; its port for SIP, and the one for requests."""
    sip, rpc = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="kam") as place:
        configuration = Path(place) / "kamailio.cfg"
        configuration.write_text(CONFIGURATION.format(sip=sip, rpc=rpc))
        program = shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program
        argv = [program, "-f", str(configuration), "-DD", "-E", "-w", place, "-Y", place, "-m", "32", "-M", "8"]
        with (Path(place) / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            yield sip, rpc
            process.terminate()


def run(rpc: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as a user who owns nothing."""
    hook = (ROOT / "docs" / "examples" / "kamailio-phones").read_text()
    user = NOBODY if os.geteuid() == 0 else None
    return subprocess.run(
        ["/usr/bin/python3", "-I", "-", *arguments], input=hook, cwd="/", user=user,
        env={"CAPF_KAMAILIO": f"127.0.0.1:{rpc}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_p61_kamailio_resets_registered_phones_and_names_the_others(kamailio: tuple[int, int]) -> None:
    sip, rpc = kamailio
    with phone(sip) as own:
        done = run(rpc, "unregistered", HERE, ELSEWHERE)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{ELSEWHERE}\n", "")
        done = run(rpc, "reset", HERE)
        assert (done.returncode, done.stderr) == (0, "")
        received = own.recv(65535)
        assert received.startswith(f"NOTIFY sip:{HERE}@127.0.0.1".encode()) and b"Event: check-sync" in received
        done = run(rpc, "reset", ELSEWHERE)
        assert (done.returncode, done.stderr) == (1, f"kamailio-phones: not registered: {ELSEWHERE}\n")


def test_p61_a_kamailio_that_does_not_answer_is_named() -> None:
    (port,) = free_ports(1)
    done = run(port, "reset", HERE)
    assert done.returncode == 1 and "Kamailio cannot be asked" in done.stderr
