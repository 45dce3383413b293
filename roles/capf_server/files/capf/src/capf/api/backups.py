"""A backup of the running node (R20)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Generator
from typing import BinaryIO

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from capf.api.download import Download
from capf.api.login import Actor, RunningNode
from capf.api.shapes import Strict
from capf.store import journal

router = APIRouter(tags=["backup"])
_MEDIA_TYPE = "application/gzip"
_PIECE = 1 << 18


class Backup(Strict):
    """A backup takes no settings."""


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The archive",
        }
    },
)
async def back_up(_unused: Backup, actor: Actor, node: RunningNode) -> Download:
    """Return an archive with keys, certificates, traces and database, as secret as the server's keys."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when its last piece is sent
    try:
        await asyncio.to_thread(node.write_backup, file)
        size = file.seek(0, os.SEEK_END)
        await node.store.awrite(lambda c: journal.record(c, node.context.now, actor, [journal.Act("back up")]))
    except BaseException:
        file.close()
        raise
    return Download(_pieces(file), _MEDIA_TYPE, {"Content-Length": str(size)})


def _pieces(file: BinaryIO) -> Generator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
