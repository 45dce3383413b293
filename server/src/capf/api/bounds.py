# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of a request: its size and duration, and a smaller size before the login."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.security import HTTPBasic
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capf.api import errors
from capf.api.authentication import administrator

MAXIMUM_BODY = 64 * 1024 * 1024
_BODY_OF_ANYBODY = 64 * 1024
_SECONDS = 15.0
_BYTES_A_SECOND = 64 * 1024
_SCHEME = HTTPBasic(auto_error=False)


class RequestBounds:
    """ASGI middleware that limits the body of every request, with or without a Content-Length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its body as it is read."""
        if scope["type"] == "http":
            body = _Body(scope, receive)
            if body.announced > MAXIMUM_BODY:
                await _too_large()(scope, receive, send)
                return
            receive = body.receive
        await self._app(scope, receive, send)


def _too_large() -> ASGIApp:
    return errors.answer(errors.TOO_LARGE, "too_large", f"at most {MAXIMUM_BODY} bytes are allowed")


class _Body:
    """One request's body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._start = asyncio.get_running_loop().time()
        self._bytes = 0
        self._whole = False
        length = Request(scope).headers.get("content-length", "0")
        self.announced = int(length) if length.isdecimal() and length.isascii() else MAXIMUM_BODY + 1

    async def receive(self) -> Message:
        """Return the next part; HTTPException if it is too late, or the body is too large."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._start + _SECONDS + self._bytes / _BYTES_A_SECOND):
                message = await self._receive()
        except TimeoutError:
            raise errors.Refusal(errors.TOO_SLOW, "the request's body did not arrive in time") from None
        before, self._bytes = self._bytes, self._bytes + len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > MAXIMUM_BODY:
            raise errors.Refusal(errors.TOO_LARGE, f"at most {MAXIMUM_BODY} bytes are allowed")
        if before <= _BODY_OF_ANYBODY < self._bytes:
            await self._log_in()
        return message

    async def _log_in(self) -> None:
        """Accept more than a small body only from the administrator; 401 or 429 otherwise."""
        request = Request(self._scope)
        credentials = await _SCHEME(request)
        if credentials is None:
            raise errors.Refusal(errors.UNAUTHORIZED, "administrator name or password is wrong")
        await administrator(request, credentials)
