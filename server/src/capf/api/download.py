# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A streamed answer, whose source is always closed, even if the client stalls or disconnects."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

import anyio
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

LOG = logging.getLogger(__name__)
_PIECE_SECONDS = 60.0


class Pieces(Protocol):
    """The source of a download, which is closed at its end."""

    def __iter__(self) -> Iterator[str] | Iterator[bytes]: ...
    def close(self) -> None: ...


class Download(StreamingResponse):
    """Sends pieces, and gives up on a client that reads nothing for ``seconds``."""

    def __init__(
        self,
        pieces: Pieces,
        media_type: str,
        headers: dict[str, str] | None = None,
        *,
        seconds: float = _PIECE_SECONDS,
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._pieces = pieces
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._seconds):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            LOG.warning("event=download-stalled path=%s", scope["path"])
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._pieces.close)
