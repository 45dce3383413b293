"""One administrator name and password for the whole cluster (R17)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from capf.accounts import Login
from capf.api.node import Node

_SCHEME = HTTPBasic(realm="capf")
Given = Annotated[HTTPBasicCredentials, Depends(_SCHEME)]


async def administrator(request: Request, given: Given) -> str:
    """Return the administrator's name, which is the actor of every audit row; 401 or 429 otherwise."""
    node: Node = request.app.state.node
    address = request.client.host if request.client else ""
    login = await node.login(given.username, given.password, address)
    if login is Login.WAIT:
        raise HTTPException(429, "too many wrong passwords from this address; wait a minute")
    if login is Login.WRONG:
        raise HTTPException(401, "administrator name or password is wrong")
    return given.username


Actor = Annotated[str, Depends(administrator)]


def node_of(request: Request) -> Node:
    """Return the running node."""
    node: Node = request.app.state.node
    return node


RunningNode = Annotated[Node, Depends(node_of)]
