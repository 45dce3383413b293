# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches a file by TFTP, as phones do when HTTP fails (RFC 1350; block size and file size of RFC 2348 and 2349)."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6
_UNKNOWN_TRANSFER = 5
_HEADER = struct.Struct("!HH")
_CODE_BYTES = 2
_BLOCK_BYTES = 512
_WANTED_BLOCK_BYTES = 1428
"""A block that fits into an Ethernet frame, even with IPv6."""
_SECONDS = 1.0
_TRIES = 4


class TftpError(Exception):
    """The server refuses the transfer, or its answer is invalid."""


class Download:
    """The client side of one transfer, without I/O; ``packet`` is the packet to send, or to send again."""

    def __init__(self, name: str, largest: int) -> None:
        self.data = bytearray()
        self.done = False
        options = ("blksize", str(_WANTED_BLOCK_BYTES), "tsize", "0")
        words = b"".join(word.encode() + b"\0" for word in (name, "octet", *options))
        self.packet = _RRQ.to_bytes(_CODE_BYTES, "big") + words
        self._largest = largest
        self._block_bytes = _BLOCK_BYTES
        self._block = 0

    def feed(self, datagram: bytes) -> bool:
        """Process a datagram of the server; return whether to send ``packet`` now. TftpError ends the transfer."""
        code, rest = int.from_bytes(datagram[:_CODE_BYTES], "big"), datagram[_CODE_BYTES:]
        if code == _OACK and self._block == 0:
            self._agree(rest.decode("ascii", "replace").split("\0"))
            self.packet = _HEADER.pack(_ACK, 0)
            return True
        if code == _DATA and len(datagram) >= _HEADER.size:
            return self._take(int.from_bytes(rest[:2], "big"), datagram[_HEADER.size :])
        raise TftpError(rest[2:].rstrip(b"\0").decode("ascii", "replace") if code == _ERROR else "not a TFTP answer")

    def _agree(self, words: list[str]) -> None:
        """Process the block size and file size in the server's answer."""
        options = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
        if not all(value.isdecimal() for name, value in options.items() if name):
            raise TftpError("an option that is not a number")
        self._block_bytes = int(options.get("blksize", _BLOCK_BYTES))
        if not 1 <= self._block_bytes <= _WANTED_BLOCK_BYTES or int(options.get("tsize", 0)) > self._largest:
            raise TftpError("a block or a file that is too large")

    def _take(self, number: int, block: bytes) -> bool:
        """Process a block; a repeated one is acknowledged again, because the acknowledgement was lost."""
        if number != (self._block + 1) & 0xFFFF:
            return number == self._block & 0xFFFF and self._block > 0
        if len(block) > self._block_bytes or len(self.data) + len(block) > self._largest:
            raise TftpError("a block or a file that is too large")
        self._block += 1
        self.data += block
        self.done = len(block) < self._block_bytes
        self.packet = _HEADER.pack(_ACK, number)
        return True


class _Protocol(asyncio.DatagramProtocol):
    """Puts the datagrams of a transfer into a queue; None for a network error."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any] | None] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))

    def error_received(self, _unused: Exception) -> None:
        self.received.put_nowait(None)


async def fetch(
    host: str, port: int, name: str, largest: int, *, seconds: float = _SECONDS, tries: int = _TRIES
) -> bytes | None:
    """Return a file of at most ``largest`` bytes from a server's IP address; None if the server does not send it.

    A packet without an answer within ``seconds`` is sent again, up to ``tries`` times in total.
    """
    loop = asyncio.get_running_loop()
    try:
        ((family, *_unused, server), *_others) = await loop.getaddrinfo(host, port)
        transport, protocol = await loop.create_datagram_endpoint(_Protocol, family=family)
    except OSError:
        return None
    download = Download(name, largest)
    try:
        await _run(download, transport, protocol, server, seconds, tries)
        return bytes(download.data)
    except (OSError, TimeoutError, TftpError):
        return None
    finally:
        transport.close()


async def _run(
    download: Download,
    transport: asyncio.DatagramTransport,
    protocol: _Protocol,
    server: Any,
    seconds: float,
    tries: int,
) -> None:
    """Run the transfer to its end. The server answers from a different port, which then stays the same (RFC 1350)."""
    peer: Any = None
    while not download.done:
        for attempt in range(tries):
            transport.sendto(download.packet, peer or server)
            try:
                async with asyncio.timeout(seconds):
                    peer = await _until_new_packet(download, transport, protocol, server, peer)
                break
            except TimeoutError:
                if attempt == tries - 1:
                    raise
    transport.sendto(download.packet, peer)


async def _until_new_packet(
    download: Download, transport: asyncio.DatagramTransport, protocol: _Protocol, server: Any, peer: Any
) -> Any:
    """Process datagrams until there is something to send; return the server's address for the transfer."""
    while True:
        received = await protocol.received.get()
        if received is None:
            raise TftpError("network error")
        datagram, sender = received
        if sender[0] != server[0] or (peer is not None and sender != peer):
            transport.sendto(_HEADER.pack(_ERROR, _UNKNOWN_TRANSFER) + b"unknown transfer\0", sender)
        elif download.feed(datagram):
            return sender
