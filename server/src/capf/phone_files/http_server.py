# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP 6970: phones fetch their files by name."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from capf.phone_files.cnf_xml import ConfigurationError
from capf.phone_files.content import configurations
from capf.phone_files.folder import CONFIGURATION_SUFFIX, Folder
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store


def application(store: Store, context: Context, node_name: str, folder: Folder) -> FastAPI:
    """Return the application of the files port; it knows a few names and nothing else on the disk."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _without_words)

    @app.get("/{name}")
    async def fetch(name: str) -> Response:
        device_name = name.removesuffix(CONFIGURATION_SUFFIX)
        content: bytes | ConfigurationError | None
        if context.first_node and name != device_name:
            made = await store.aread(lambda c: configurations(Transaction(c, context), [device_name], node_name))
            content = made.get(device_name)
        else:
            content = await store.aread(lambda _unused: folder.read(name))
        if not isinstance(content, bytes):
            return Response(status_code=404)
        return Response(content, media_type="application/octet-stream")

    return app


async def _without_words(_unused: Request, error: Exception) -> Response:
    """Answer an unknown path or method with its status alone, as a name that is not known."""
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI calls this handler for no other
    return Response(status_code=error.status_code, headers=error.headers)
