"""The administration application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI

from capf import __version__
from capf.administration.node import Node
from capf.api import (
    backups,
    certificates,
    ctl_file,
    errors,
    events,
    files,
    health,
    nodes,
    operations,
    phone_import,
    phones,
    preflight,
    reports,
    rollout_reports,
    rollouts,
    service,
    trace,
)
from capf.api.authentication import Monitor
from capf.api.bounds import Bounds

_PARTS = (
    backups,
    certificates,
    ctl_file,
    events,
    files,
    nodes,
    operations,
    phone_import,
    phones,
    preflight,
    reports,
    rollout_reports,
    rollouts,
    service,
    trace,
)  # fmt: skip


def application(node: Node, monitors: Sequence[str]) -> FastAPI:
    """Return the API of this node; ``monitors`` are the addresses and networks that read numbers without a login."""
    app = FastAPI(title="CAPF administration", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.node = node
    app.state.monitors = monitors
    errors.install(app)
    api = APIRouter(prefix="/api/v1", responses=errors.DOCUMENTED)
    for part in _PARTS:
        api.include_router(part.router)
    app.include_router(api)

    app.include_router(health.router)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Monitor])
    async def openapi() -> dict[str, Any]:
        return app.openapi()

    app.add_middleware(Bounds)
    return app
