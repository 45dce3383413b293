# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a subscriber receives from the first node and serves to phones (R3)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf.administration import publishing
from capf.api.authentication import Actor, RunningNode
from capf.api.cluster_shapes import Different, Digests, Files, FilesChanged

router = APIRouter(tags=["files"])


@router.put("/files", response_model=FilesChanged)
async def put(wanted: Files, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Store files, all or none of them, if their names and contents are valid. Only on subscribers."""
    names = await publishing.receive(node, wanted.files, actor, dry_run=wanted.dry_run)
    return {"changed": bool(names), "names": names}


@router.post("/files/compare", response_model=Different)
async def compare(wanted: Digests, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Return the files that are missing here or have a different digest."""
    return {"different": await publishing.compare(node, wanted.digests)}
