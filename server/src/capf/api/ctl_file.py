"""The CTL file: how it stands, and making it again (R3, R22, R24)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from capf.api.authentication import Actor, Given, RunningNode
from capf.api.cluster_shapes import CtlFile, CtlFileChange, CtlFileChanged
from capf.api.node import Node
from capf.api.running import carry_out
from capf.certificates import ctl
from capf.cluster import delivery
from capf.registry import ctl_file, nodes, tokens
from capf.registry.transaction import Transaction

router = APIRouter(tags=["ctl-file"])
_MAKING = asyncio.Lock()
"""Keys of tokens are files beside the database: making the CTL file is a whole act, one after the other."""


@router.get("/ctl-file", response_model=CtlFile)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the CTL file and whether it is current; on a further node, the one that it was given."""
    if node.context.first_node:
        return ctl_file.show(await node.store.aread(lambda c: ctl_file.status(Transaction(c, node.context))))
    data = await asyncio.to_thread(node.folder.read, ctl.FILE_NAME)
    return ctl_file.show_received(data)


@router.put("/ctl-file", response_model=CtlFileChanged)
async def ensure(wanted: CtlFileChange, given: Given, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Make the CTL file again where it is outdated; refused where a node has other credentials (R17)."""
    further = await node.store.aread(nodes.further)
    credentials = delivery.Credentials(given.username, given.password)
    problems = await delivery.check(further, credentials)
    options = ctl_file.Options(wanted.digest, wanted.signer_version)
    supplied = [
        tokens.Supplied(item.slot, item.certificate, item.private_key, item.passphrase) for item in wanted.tokens
    ]
    async with _MAKING:
        try:
            made = await carry_out(
                node,
                lambda c: ctl_file.make_current(Transaction(c, node.context, actor), options, supplied),
                dry_run=wanted.dry_run,
            )
        finally:
            await node.store.aread(lambda c: tokens.sweep(Transaction(c, node.context)))
        await put_in_place(node)
    unreachable = [f"{name}: {problem}" for name, problem in problems.items() if problem]
    return {
        "changed": made.changed,
        "reasons": made.reasons,
        "before": made.before,
        "after": made.after,
        "unreachable": unreachable,
    }


async def put_in_place(node: Node) -> None:
    """Write the CTL file of the database to where phones fetch it, where it is not there."""
    held = await node.store.aread(ctl_file.last)
    if held is not None and node.folder.different({ctl.FILE_NAME: held.sha256}):
        await asyncio.to_thread(node.folder.write, {ctl.FILE_NAME: held.data})
