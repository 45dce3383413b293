# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP 6970: phones fetch their files by name."""

from __future__ import annotations

from fastapi import FastAPI, Response

from capf.phone_files.cnf_xml import ConfigurationError
from capf.phone_files.content import configurations
from capf.phone_files.folder import CONFIGURATION_SUFFIX, Folder
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store


def application(store: Store, context: Context, node_name: str, folder: Folder) -> FastAPI:
    """Return the application of the files port; it knows a few names and nothing else on the disk."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

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
