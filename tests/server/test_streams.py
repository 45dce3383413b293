# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams keep a database connection only while a client reads, and never the last one (P28)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from sqlalchemy.pool import QueuePool

from capf.api.download import Download
from capf.model import StoreUnavailableError
from capf.phone_session.effects import Granted
from capf.store import engine
from support.record import Record

MANY = 1000


def pieces(connection: Connection) -> Iterator[str]:
    """Yield as long as a client reads."""
    for _index in range(MANY):
        yield str(connection.exec_driver_sql("SELECT 1").scalar_one())


def in_use(record: Record) -> int:
    """Return the number of connections in use, without the one that the writer keeps."""
    pool = record.store._engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout() - (record.store._connection is not None)


def test_p28_streams_are_bounded_and_leave_room_for_phones(record: Record) -> None:
    record.add()
    record.plan()
    streams = [record.store.stream(pieces) for _index in range(engine._STREAMS)]
    assert [next(iter(stream)) for stream in streams] == ["1"] * engine._STREAMS
    with pytest.raises(StoreUnavailableError, match="try again"):
        record.store.stream(pieces)
    assert isinstance(record.claim(), Granted)
    for stream in streams:
        stream.close()
        stream.close()
    assert in_use(record) == 0
    last = record.store.stream(pieces)
    assert len(list(last)) == MANY
    last.close()


def test_p28_a_stream_that_nobody_began_leaves_its_place(record: Record) -> None:
    for _index in range(engine._STREAMS + 1):
        record.store.stream(pieces).close()


SCOPE = {"type": "http", "path": "/report", "asgi": {"spec_version": "2.1"}}


@pytest.mark.parametrize("how", ["stalls", "goes", "breaks off", "reads"])
async def test_p28_a_download_frees_its_connection_however_it_ends(record: Record, how: str) -> None:
    """A download ends if the client stops reading, or disconnects while a piece waits."""
    waits, sent = asyncio.Event(), list[object]()

    async def send(message: object) -> None:
        sent.append(message)
        if len(sent) > 3 and how != "reads":
            waits.set()
            if how == "breaks off":
                raise ConnectionResetError
            await asyncio.Event().wait()

    async def receive() -> dict[str, str]:
        await (waits if how == "goes" else asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    stream = record.store.stream(pieces)
    download = Download(stream, "text/csv", seconds=0.05 if how == "stalls" else 60)
    try:
        await download(dict(SCOPE), receive, send)
    except ConnectionResetError:
        assert how == "breaks off"
    assert len(sent) == (MANY + 2 if how == "reads" else 4)
    assert in_use(record) == 0


def test_p21_a_store_with_no_connection_left_is_unavailable(record: Record) -> None:
    pool = record.store._engine.pool
    assert isinstance(pool, QueuePool)
    pool._timeout = 0
    held = [record.store._engine.connect() for _index in range(pool.size() + pool._max_overflow)]
    for run in (record.store.read, record.store.write):
        with pytest.raises(StoreUnavailableError, match="all connections to it are in use"):
            run(lambda _connection: None)
    for connection in held:
        connection.close()
    assert record.store.write(lambda _connection: 1) == 1
