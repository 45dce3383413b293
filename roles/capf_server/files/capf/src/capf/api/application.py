"""The administration application."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from capf import __version__
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
from capf.api.bounds import Bounds
from capf.api.node import Node

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
    app.add_middleware(Bounds)
    return app
