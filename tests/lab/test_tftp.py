# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's TFTP client, alone and with Debian's in.tftpd."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf_lab import tftp
from capf_lab.network import BOTH, Fetched, FilesServers
from support.tftpd import RunningTftpd

LARGEST = 1_000_000
REQUEST = b"\0\x01f\0octet\0blksize\x001428\0tsize\x000\0"
ACK0, ACK1 = b"\0\4\0\0", b"\0\4\0\1"


@pytest.fixture
def tftpd(tmp_path: Path) -> Iterator[RunningTftpd]:
    """A running in.tftpd."""
    running = RunningTftpd(tmp_path / "tftp")
    yield running
    running.stop()


@pytest.mark.parametrize("size", [0, 1, 1427, 1428, 1429, 2856, 300_000, LARGEST])
async def test_a_file_of_any_size_is_fetched_from_debians_server(tftpd: RunningTftpd, size: int) -> None:
    data = os.urandom(size)
    tftpd.put("file.bin", data)
    assert await tftp.fetch("127.0.0.1", tftpd.port, "file.bin", LARGEST) == data


async def test_a_file_that_is_missing_or_too_large_is_none(tftpd: RunningTftpd) -> None:
    tftpd.put("large", b"x" * 2000)
    assert await tftp.fetch("127.0.0.1", tftpd.port, "missing", LARGEST) is None
    assert await tftp.fetch("127.0.0.1", tftpd.port, "large", 1999) is None
    assert await tftp.fetch("127.0.0.1", tftpd.port, "large", 2000) == b"x" * 2000


async def test_http_is_first_and_tftp_second(tftpd: RunningTftpd) -> None:
    tftpd.put("SEP001122334455.cnf.xml", b"<device/>")
    servers = FilesServers(("127.0.0.1", 1), ("127.0.0.1", tftpd.port))
    assert await servers.fetch(BOTH, "SEP001122334455.cnf.xml") == Fetched(b"<device/>", "TFTP")
    assert await servers.fetch(BOTH, "CTLFile.tlv") is None
    assert await FilesServers(("127.0.0.1", 1)).fetch(BOTH, "SEP001122334455.cnf.xml") is None


async def test_a_phone_without_http_goes_to_tftp_at_once(tftpd: RunningTftpd, tmp_path: Path) -> None:
    tftpd.put("CTLFile.tlv", b"tftp")
    (tmp_path / "CTLFile.tlv").write_bytes(b"http")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        http = ("127.0.0.1", server.server_port)
        both, old = FilesServers(http, ("127.0.0.1", tftpd.port)), replace(BOTH, http=False)
        assert await both.fetch(BOTH, "CTLFile.tlv") == Fetched(b"http", "HTTP")
        assert await both.fetch(old, "CTLFile.tlv") == Fetched(b"tftp", "TFTP")
        assert await FilesServers(http).fetch(old, "CTLFile.tlv") == Fetched(b"http", "HTTP")
        server.shutdown()


async def test_a_server_that_is_silent_is_given_up(tftpd: RunningTftpd) -> None:
    port = tftpd.port
    tftpd.stop()
    assert await tftp.fetch("127.0.0.1", port, "file", LARGEST, seconds=0.05, tries=3) is None


def test_options_are_taken_or_done_without() -> None:
    download = tftp.Download("f", LARGEST)
    assert download.packet == REQUEST
    assert download.feed(b"\0\6blksize\x008\0tsize\x0010\0") and download.packet == ACK0
    assert download.feed(b"\0\3\0\x0112345678") and download.packet == ACK1 and not download.done
    assert download.feed(b"\0\3\0\x0112345678"), "its acknowledgement was lost: once more"
    assert not download.feed(b"\0\3\0\x05late")
    assert download.feed(b"\0\3\0\x029") and download.done and download.data == b"123456789"
    plain = tftp.Download("f", LARGEST)
    assert plain.feed(b"\0\3\0\1" + b"x" * 512) and not plain.done
    assert plain.feed(b"\0\3\0\2") and plain.done and len(plain.data) == 512


@pytest.mark.parametrize(
    ("datagram", "says"),
    [
        (b"", "not a TFTP answer"),
        (b"\0\3\0", "not a TFTP answer"),
        (b"\0\4\0\0", "not a TFTP answer"),
        (b"\0\5\0\1File not found\0", "File not found"),
        (b"\0\6blksize\x001429\0", "too large"),
        (b"\0\6blksize\x000\0", "too large"),
        (b"\0\6blksize\0many\0", "not a number"),
        (b"\0\6tsize\x001000001\0", "too large"),
        (b"\0\3\0\1" + b"x" * 513, "too large"),
    ],
)
def test_what_is_no_answer_ends_the_transfer(datagram: bytes, says: str) -> None:
    with pytest.raises(tftp.TftpError, match=says):
        tftp.Download("f", LARGEST).feed(datagram)


@given(st.lists(st.binary(max_size=40) | st.binary(max_size=20).map(lambda rest: b"\0\3\0\1" + rest), max_size=8))
def test_any_datagrams_are_taken_or_refused_and_never_more_is_kept_than_allowed(datagrams: list[bytes]) -> None:
    download = tftp.Download("f", 30)
    try:
        for datagram in datagrams:
            download.feed(datagram)
    except tftp.TftpError:
        pass
    assert len(download.data) <= 30
