"""The administration application."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from capf import __version__
from capf.api import (
    certificates,
    ctl_file,
    errors,
    files,
    health,
    nodes,
    operations,
    phones,
    rollouts,
    service,
)
from capf.api.node import Node

MAXIMUM_BODY = 64 * 1024 * 1024
_PARTS = (
    certificates,
    ctl_file,
    files,
    nodes,
    operations,
    phones,
    rollouts,
    service,
)  # fmt: skip


def application(node: Node) -> FastAPI:
    """Return the API of this node."""
    app = FastAPI(title="CAPF administration", version=__version__, docs_url=None, redoc_url=None)
    app.state.node = node
    errors.install(app)
    api = APIRouter(prefix="/api/v1", responses=errors.DOCUMENTED)
    for part in _PARTS:
        api.include_router(part.router)
    app.include_router(api)

    app.include_router(health.router)

    @app.middleware("http")
    async def limit_body(request: Request, call_next: RequestResponseEndpoint) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAXIMUM_BODY:
            return errors.answer(errors.TOO_LARGE, "too_large", f"at most {MAXIMUM_BODY} bytes are allowed")
        return await call_next(request)

    return app
