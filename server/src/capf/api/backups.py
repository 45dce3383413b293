# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup of the running node (R20)."""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from capf.administration import backups
from capf.administration.backup.making import MadeBackup
from capf.administration.backup.sealing import MINIMUM_PASSPHRASE
from capf.api.authentication import Actor, RunningNode
from capf.api.download import Download
from capf.api.shapes import Strict
from capf.model import InvalidRequestError, Problem

router = APIRouter(tags=["backup"])
_MEDIA_TYPE = "application/octet-stream"
_PIECE = 1 << 18
_MAXIMUM_PASSPHRASE = 1000


class Backup(Strict):
    """The passphrase that encrypts the archive, or the explicit choice of a plain archive."""

    passphrase: Annotated[
        str | None, Field(min_length=MINIMUM_PASSPHRASE, max_length=_MAXIMUM_PASSPHRASE, repr=False)
    ] = None
    plain: bool = False
    dry_run: bool = False


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The archive; Repr-Digest (RFC 9530) is its SHA-256, CAPF-Files the number of its files",
        }
    },
)
async def back_up(wanted: Backup, actor: Actor, node: RunningNode) -> Response:
    """Return an archive with keys, certificates, traces and database, after checking it as a restore would.

    With ``dry_run`` none is made.
    """
    if (wanted.passphrase is None) != wanted.plain:
        raise InvalidRequestError([Problem("passphrase", "(hidden)", "give either a passphrase or plain: true")])
    if wanted.dry_run:
        return JSONResponse({"changed": True})
    file, made = await backups.back_up(node, wanted.passphrase, actor)
    return Download(_pieces(file), _MEDIA_TYPE, _headers(made))


def _headers(made: MadeBackup) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(made.sha256)).decode()
    return {"Content-Length": str(made.size), "Repr-Digest": f"sha-256=:{digest}:", "CAPF-Files": str(made.files)}


def _pieces(file: BinaryIO) -> Generator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
