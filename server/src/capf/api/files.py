# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a subscriber gets of the first one and hands to phones (R3)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf.administration import publishing
from capf.api.authentication import Actor, RunningNode
from capf.api.cluster_shapes import Different, Digests, Files, FilesChanged

router = APIRouter(tags=["files"])


@router.put("/files", response_model=FilesChanged)
async def put(wanted: Files, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Take files; all or nothing of a request whose names and contents are right. On subscribers only."""
    names = await publishing.receive(node, wanted.files, actor, dry_run=wanted.dry_run)
    return {"changed": bool(names), "names": names}


@router.post("/files/compare", response_model=Different)
async def compare(wanted: Digests, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Tell which files are not here as the digests say."""
    return {"different": await publishing.compare(node, wanted.digests)}
