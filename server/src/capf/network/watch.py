# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches many sockets as one: the event loop only watches whether any of them can be read.

For each socket the event loop itself would take several times as long, to begin and to end watching it and to call
somebody.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

Call = Callable[[], object]


class SocketWatch:
    """Sockets, by their descriptors, and what is called when one can be read."""

    def __init__(self, after: Call) -> None:
        """``after`` is called when all sockets that could be read at the same time have had their calls."""
        self._poll = select.epoll()
        self._calls: dict[int, Call] = {}
        self._after = after

    def call(self, descriptor: int, call: Call) -> None:
        """Call this whenever a socket can be read or has ended, and nothing else that was to be called for it."""
        if not self._calls:
            asyncio.get_running_loop().add_reader(self._poll.fileno(), self._look)
        if descriptor not in self._calls:
            self._poll.register(descriptor, select.EPOLLIN)
        self._calls[descriptor] = call

    def forget(self, descriptor: int) -> None:
        """Call nothing more for a socket, which is still open."""
        if descriptor not in self._calls:
            return
        del self._calls[descriptor]
        self._poll.unregister(descriptor)
        if not self._calls:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())

    def _look(self) -> None:
        """Call for every socket that can be read.

        A call may close another socket and accept a new one with the same descriptor: then nothing can be read.
        """
        for descriptor, _unused in self._poll.poll(0):
            call = self._calls.get(descriptor)
            if call is None:
                continue
            try:
                call()
            except Exception as error:
                context = {"message": f"watching descriptor {descriptor}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
        self._after()
