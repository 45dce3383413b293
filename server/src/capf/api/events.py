# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events for automation such as Event-Driven Ansible."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from capf.administration import notices
from capf.api.authentication import Actor, RunningNode

router = APIRouter(tags=["events"])
_MAXIMUM_WAIT = 60
_MAXIMUM_DAYS = 3650


class Event(BaseModel):
    """One event; ``detail`` does not contain secrets."""

    kind: str
    at: str
    device_name: str
    detail: dict[str, Any]


class Events(BaseModel):
    """The events after a cursor, and the next cursor."""

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
    """Return the events after the cursor; wait up to ``wait`` seconds for events.

    Without a cursor: all events from now on, and every LSC that expires within ``days``.
    """
    found, cursor = await notices.wait(node, after, wait, days)
    return {"events": found, "cursor": cursor}
