"""The files that a further node gets of the first one and hands to phones (R3)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from capf.api.authentication import Actor, RunningNode
from capf.api.cluster_shapes import Different, Digests, Files, FilesChanged
from capf.model import ConflictError
from capf.phone_files import folder
from capf.registry.transaction import Transaction

router = APIRouter(tags=["files"])


@router.put("/files", response_model=FilesChanged)
async def put(wanted: Files, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Take files; all or nothing of a request whose names and contents are right. On further nodes only."""
    if node.context.first_node:
        raise ConflictError("the first node makes its files itself; only further nodes are given them")
    files = wanted.files

    def different() -> list[str]:
        folder.check(files)
        return node.folder.different({name: folder.digest(data) for name, data in files.items()})

    names = await asyncio.to_thread(different)
    if names and not wanted.dry_run:
        await node.store.awrite(lambda c: Transaction(c, node.context, actor).audit("take files", files=len(names)))
        await asyncio.to_thread(node.folder.write, {name: files[name] for name in names})
    return {"changed": bool(names), "names": names}


@router.post("/files/compare", response_model=Different)
async def compare(wanted: Digests, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Tell which files are not here as the digests say."""
    return {"different": await asyncio.to_thread(node.folder.different, wanted.digests)}
