# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many sockets are watched as one, and none of them disturbs another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from capf.network.watch import SocketWatch

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Connected pairs of sockets."""
    with ExitStack() as stack:
        made = [socket.socketpair() for _number in range(3)]
        for one, other in made:
            stack.enter_context(one)
            stack.enter_context(other)
        yield made


async def turns() -> None:
    """Let the event loop look at its sockets."""
    for _number in range(3):
        await asyncio.sleep(0.01)


async def test_what_a_call_raises_is_reported_and_the_others_are_called(pairs: list[Pair]) -> None:
    called, reported, ends = list[int](), list[str](), list[int]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(repr(context["exception"])))
    watch = SocketWatch(lambda: ends.append(len(called)))

    def heard(number: int) -> None:
        watch.forget(pairs[number][0].fileno())
        called.append(number)
        if number == 0:
            raise ValueError("broken")

    for number, (own, other) in enumerate(pairs):
        watch.call(own.fileno(), partial(heard, number))
        other.send(b"x")
    await turns()
    assert sorted(called) == [0, 1, 2] and reported == ["ValueError('broken')"]
    assert ends == [3], "what comes after is done once for all that could be read at the same time"


async def test_a_socket_that_another_call_has_closed_is_not_called(pairs: list[Pair]) -> None:
    called = list[int]()
    watch = SocketWatch(lambda: None)

    def close_the_others(number: int) -> None:
        called.append(number)
        for own, _other in pairs:
            watch.forget(own.fileno())

    for number, (own, other) in enumerate(pairs):
        watch.call(own.fileno(), partial(close_the_others, number))
        other.send(b"x")
    await turns()
    assert len(called) == 1


async def test_the_last_call_counts_and_watching_can_begin_again(pairs: list[Pair]) -> None:
    called = list[str]()
    own, other = pairs[0]
    watch = SocketWatch(lambda: None)
    watch.call(own.fileno(), lambda: called.append("first"))
    watch.call(own.fileno(), lambda: called.append(own.recv(1).decode()))
    other.send(b"a")
    await turns()
    watch.forget(own.fileno())
    other.send(b"b")
    await turns()
    assert called == ["a"]
    watch.call(own.fileno(), lambda: called.append(own.recv(1).decode()))
    await turns()
    assert called == ["a", "b"]
