# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administration application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from capf import __version__, api
from capf.administration.node import Node
from capf.api import errors, health
from capf.api.authentication import Monitor
from capf.api.bounds import RequestBounds


def _routers() -> Iterator[APIRouter]:
    """Yield the routers of the modules of this package; the routes of ``health`` have no version."""
    for found in iter_modules(api.__path__):
        router = getattr(import_module(f"{api.__name__}.{found.name}"), "router", None)
        if router is not None and router is not health.router:
            yield router


@cache
def routes() -> Sequence[BaseRoute]:
    """Return the routes, which belong to no node: a request finds its node through its application."""
    versioned, whole = APIRouter(prefix="/api/v1", responses=errors.DOCUMENTED), APIRouter()
    for router in _routers():
        versioned.include_router(router)
    whole.include_router(versioned)
    whole.include_router(health.router)
    return whole.routes


def application(node: Node, monitors: Sequence[str]) -> FastAPI:
    """Return the API of this node; ``monitors`` are addresses and networks that may read metrics without a login."""
    app = FastAPI(
        title="CAPF administration", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        routes=[*routes()],
    )  # fmt: skip
    app.state.node = node
    app.state.monitors = monitors
    errors.install(app)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Monitor])
    async def openapi() -> dict[str, Any]:
        return errors.describe(app.openapi())

    app.add_middleware(RequestBounds)
    return app
