# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP 6970: phones fetch their files by name."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from capf.certificates.envelope import SUFFIX
from capf.certificates.signatures import SigningKey
from capf.phone_files import signed_files
from capf.phone_files.content import configurations, default_configuration
from capf.phone_files.folder import CONFIGURATION_SUFFIX, DEFAULT_CONFIGURATION, Folder
from capf.registry import file_signer
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store


def _unnoticed(_unused: str) -> None:
    """Ignore the phone."""


def application(
    store: Store, context: Context, node_name: str, folder: Folder, seen: Callable[[str], None] = _unnoticed
) -> FastAPI:
    """Return the application of the files port; it knows a few names and nothing else on the disk.

    ``seen`` is called with the device name of a phone that has fetched its configuration.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _without_words)

    @app.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def fetch(path: str) -> Response:
        name = path.lstrip("/")
        plain, content, key = await store.aread(lambda c: _look(Transaction(c, context), node_name, folder, name))
        if content is not None and plain != name:
            content = None if key is None else await run_in_threadpool(signed_files.sign, plain, content, key)
        if content is None:
            return Response(status_code=404)
        if plain.endswith(CONFIGURATION_SUFFIX):
            seen(plain.removesuffix(CONFIGURATION_SUFFIX))
        return Response(content, media_type="application/octet-stream")

    return app


def _look(tx: Transaction, node_name: str, folder: Folder, name: str) -> tuple[str, bytes | None, SigningKey | None]:
    """Return which file to serve, its content, and the key that signs it if ``name`` is its signed form.

    The first node makes configurations and signatures; a subscriber only has files.
    """
    if not tx.context.first_node:
        return name, folder.read(name), None
    plain = name.removesuffix(SUFFIX) if signed_files.has_signed_form(name.removesuffix(SUFFIX)) else name
    key = file_signer.current(tx) if plain != name else None
    if plain == DEFAULT_CONFIGURATION:
        return plain, default_configuration(tx.context), key
    device_name = plain.removesuffix(CONFIGURATION_SUFFIX)
    if plain == device_name:
        return plain, folder.read(plain), key
    made = configurations(tx, [device_name], node_name).get(device_name)
    return plain, made if isinstance(made, bytes) else None, key


async def _without_words(_unused: Request, error: Exception) -> Response:
    """Answer an unknown path or method with its status alone, as a name that is not known."""
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI calls this handler for no other
    return Response(status_code=error.status_code, headers=error.headers)
