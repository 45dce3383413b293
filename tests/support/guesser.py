# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An attacker who guesses the administrator's password from many addresses, in a separate process."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import Counter

from support.requesting import token

_AT_ONCE = 16


def _request(number: int) -> bytes:
    login = token(f"wrong-{number}")
    return f"GET /api/v1/service HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\r\n".encode()


async def _guess(port: int, address: str, numbers: range, context: ssl.SSLContext) -> Counter[int]:
    """Make tries over one connection, reconnecting if the server closes it; return the number of each status."""
    statuses: Counter[int] = Counter()
    left = list(numbers)
    while left:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(address, 0))
        try:
            while left:
                writer.write(_request(left[-1]))
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                (length,) = [line.split(": ")[1] for line in head.splitlines() if line.startswith("content-length")]
                await reader.readexactly(int(length))
                left.pop()
                statuses[int(head.split()[1])] += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            continue
        finally:
            writer.close()
    return statuses


async def guess(port: int, tries: int, addresses: int) -> Counter[int]:
    """Try wrong passwords from loopback addresses; return the number of answers by status."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    gate = asyncio.Semaphore(_AT_ONCE)
    each = tries // addresses

    async def one(index: int) -> Counter[int]:
        async with gate:
            numbers = range(index * each, index * each + each)
            return await _guess(port, f"127.0.{1 + index // 200}.{1 + index % 200}", numbers, context)

    return sum(await asyncio.gather(*(one(index) for index in range(addresses))), Counter())


if __name__ == "__main__":
    for status, count in sorted(asyncio.run(guess(*(int(text) for text in sys.argv[1:]))).items()):
        print(status, count)
