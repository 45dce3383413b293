# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""One administrator name and password for the whole cluster (R17)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from capf.addresses import is_within
from capf.administration.logins import Login
from capf.administration.node import Node
from capf.api.errors import TOO_MANY, UNAUTHORIZED, Refusal
from capf.cluster.delivery import Credentials

_SCHEME = HTTPBasic(realm="capf")
_OPTIONAL_SCHEME = HTTPBasic(realm="capf", auto_error=False)
Given = Annotated[HTTPBasicCredentials, Depends(_SCHEME)]
PerhapsGiven = Annotated[HTTPBasicCredentials | None, Depends(_OPTIONAL_SCHEME)]


async def administrator(request: Request, given: Given) -> str:
    """Return the administrator's name, which is the actor of every audit row; 401 or 429 otherwise."""
    node: Node = request.app.state.node
    address = request.client.host if request.client else ""
    login = await node.logins.check(given.username, given.password, address)
    if login is Login.WAIT:
        raise Refusal(TOO_MANY, "too many wrong passwords from this address; wait a minute")
    if login is Login.WRONG:
        raise Refusal(UNAUTHORIZED, "administrator name or password is wrong")
    return given.username


Actor = Annotated[str, Depends(administrator)]


async def monitor(request: Request, given: PerhapsGiven) -> None:
    """Accept clients at the addresses of monitors, and the administrator; 401 or 429 otherwise."""
    if request.client is not None and is_within(request.client.host, request.app.state.monitors):
        return
    if given is None:
        raise Refusal(UNAUTHORIZED, "this address is not a monitor's; log in as the administrator")
    await administrator(request, given)


Monitor = Depends(monitor)
"""For routes that show metrics, not secrets."""


def node_of(request: Request) -> Node:
    """Return the running node."""
    node: Node = request.app.state.node
    return node


RunningNode = Annotated[Node, Depends(node_of)]


def credentials_of(given: Given) -> Credentials:
    """Return name and password of the request, to log in to subscribers, which have the same administrator (R17)."""
    return Credentials(given.username, given.password)


ForNodes = Annotated[Credentials, Depends(credentials_of)]
"""The administrator's name and password, kept in memory only during the request."""
