"""Events for programs that act on them, such as Event-Driven Ansible."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from capf.api.authentication import Actor, RunningNode
from capf.registry import events
from capf.registry.transaction import Transaction

router = APIRouter(tags=["events"])
_LOOK_AGAIN_SECONDS = 1
_MAXIMUM_WAIT = 60
_MAXIMUM_DAYS = 3650


class Event(BaseModel):
    """One event; ``detail`` holds no secrets."""

    kind: str
    at: str
    device_name: str
    detail: dict[str, Any]


class Events(BaseModel):
    """The events after a cursor, and the cursor after them."""

    events: list[Event]
    cursor: str


@router.get("/events", response_model=Events)
async def show(
    _unused: Actor,
    node: RunningNode,
    after: Annotated[str, Query(max_length=200)] = "",
    wait: Annotated[int, Query(ge=0, le=_MAXIMUM_WAIT)] = 0,
    days: Annotated[int, Query(ge=0, le=_MAXIMUM_DAYS)] = 30,
) -> dict[str, Any]:
    """Answer when there are events after the cursor, or when ``wait`` seconds are over.

    Without a cursor: what happens from now on, and every LSC that ends within ``days``.
    """
    deadline = asyncio.get_running_loop().time() + wait
    cursor = await node.store.aread(lambda c: events.read_cursor(c, after))

    def look(connection: Connection) -> tuple[list[dict[str, Any]], events.Cursor]:
        return events.after(Transaction(connection, node.context), cursor, days)

    while True:
        found, cursor = await node.store.aread(look)
        left = deadline - asyncio.get_running_loop().time()
        if found or left <= 0:
            return {"events": found, "cursor": str(cursor)}
        await asyncio.sleep(min(_LOOK_AGAIN_SECONDS, left))
