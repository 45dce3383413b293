# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control port of a running lab: one JSON line in each direction over TCP."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from capf.model import CapfError, words_of
from capf_lab.fleet import Fleet
from capf_lab.network import FilesServers

_LINE_BYTES = 16 * 1024 * 1024
_SECONDS = 30


def address(text: str, option: str = "control") -> tuple[str, int]:
    """Return host and port of ``host:port``; CapfError for any other text."""
    host, _unused, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise CapfError(f"{option}: {text!r} is refused; allowed: host:port")
    return host.strip("[]"), int(port)


async def serve(fleet: Fleet, host: str, port: int) -> asyncio.Server:
    """Listen for requests; port 0 chooses a free one."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = _answer(fleet, json.loads(await reader.readline()))
        except (ValueError, KeyError, TypeError):
            answer = {"error": "unknown request"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(one, host, port, limit=_LINE_BYTES)


def _answer(fleet: Fleet, request: dict[str, Any]) -> dict[str, Any]:
    match request["do"]:
        case "reset":
            return {"unknown": fleet.reset(request["names"])}
        case "move":
            http, tftp = request["http"], request["tftp"]
            files = FilesServers((http[0], http[1]), tftp and (tftp[0], tftp[1]))
            return {"unknown": fleet.move(request["names"], files)}
        case "unregistered":
            return {"names": fleet.unregistered(request["names"])}
        case "status":
            return fleet.status()
        case "press":
            return {"shown": fleet.press(request["name"], request["keys"])}
        case other:
            return {"error": f"do: {other!r} is refused; allowed: reset, move, unregistered, status, press"}


def ask(where: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a running lab and return its answer; CapfError if it refuses or cannot be reached."""
    try:
        with socket.create_connection(address(where), timeout=_SECONDS) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        said = words_of(error) if isinstance(error, OSError) else "the program on that port is not a lab"
        raise CapfError(f"no lab answers at {where}: {said}") from error
    if "error" in answer:
        raise CapfError(str(answer["error"]))
    return answer
