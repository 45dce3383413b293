"""The cluster's nodes, and what the first one hands out to the others (R3, R13, R17)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf.api.authentication import Actor, Given, RunningNode
from capf.api.cluster_shapes import CheckedNodes, Nodes, NodesChange, NodesChanged, Publish, Published
from capf.api.handing_out import hand_out
from capf.api.running import carry_out
from capf.api.shapes import Strict
from capf.cluster import delivery
from capf.model import ConflictError
from capf.registry import ctl_file, nodes
from capf.registry.transaction import Transaction

router = APIRouter(tags=["nodes"])
_SHOWN_FILES = 100


@router.get("/nodes", response_model=Nodes)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the cluster's nodes, and whether each has the present CTL file."""
    known, digest = await node.store.aread(lambda c: (nodes.all_nodes(c), ctl_file.last_sha256(c)))
    return {"nodes": [nodes.show(item, digest) for item in known]}


@router.put("/nodes", response_model=NodesChanged)
async def ensure(wanted: NodesChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Add, change or remove nodes; all or nothing."""
    given = [item.model_dump(exclude_none=True) for item in wanted.nodes]

    def job(connection: Connection) -> nodes.Changes:
        return nodes.ensure(Transaction(connection, node.context, actor), given, wanted.state)

    changes = await carry_out(node, job, dry_run=wanted.dry_run)
    return {"changed": bool(changes.results), "counts": changes.counts, "results": changes.results}


@router.post("/nodes/check", response_model=CheckedNodes)
async def check(_wanted: Strict, given: Given, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Ask every further node whether it has the same administrator name and password (R17)."""
    further = await node.store.aread(nodes.further)
    return {"problems": await delivery.check(further, delivery.Credentials(given.username, given.password))}


@router.post("/nodes/publish", response_model=Published)
async def publish(wanted: Publish, given: Given, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Hand everything to the further nodes that they do not have; an unreachable one is named, the others are done."""
    if not node.context.first_node:
        raise ConflictError("files are handed out by the first node only; this is a further node")
    further = await node.store.aread(nodes.further)
    files, deliveries = await hand_out(node, further, wanted.phones, given, actor, dry_run=wanted.dry_run)
    shown = [
        {
            "node": item.node,
            "sent": len(item.sent),
            "sent_files": sorted(item.sent)[:_SHOWN_FILES],
            "unchanged": item.unchanged,
            "problem": item.problem,
        }
        for item in deliveries
    ]
    return {
        "changed": any(item.sent for item in deliveries),
        "complete": not any(item.problem for item in deliveries),
        "files": files,
        "nodes": shown,
    }
