# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's nodes, and the publication of files to them (R3, R13, R17)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf import device_names
from capf.administration import publishing
from capf.administration.requests import change, read
from capf.api.authentication import Actor, ForNodes, RunningNode
from capf.api.cluster_shapes import CheckedNodes, Nodes, NodesChange, NodesChanged, Publish, Published
from capf.api.shapes import Strict
from capf.registry import ctl_file, nodes

router = APIRouter(tags=["nodes"])
_SHOWN_FILES = 100


@router.get("/nodes", response_model=Nodes)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the cluster's nodes, and whether each has the current CTL file."""
    known, digest = await read(node, lambda tx: (nodes.all_nodes(tx.connection), ctl_file.last_sha256(tx.connection)))
    return {"nodes": [nodes.show(item, digest) for item in known]}


@router.put("/nodes", response_model=NodesChanged)
async def ensure(wanted: NodesChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Add, change or remove nodes; all or nothing."""
    given = [nodes.WantedNode(**item.model_dump()) for item in wanted.nodes]
    changes = await change(node, lambda tx: nodes.ensure(tx, given, wanted.state), actor, dry_run=wanted.dry_run)
    return {
        "changed": changes.changed,
        "counts": changes.counts,
        "results": [item.show("name") for item in changes.results],
    }


@router.post("/nodes/check", response_model=CheckedNodes)
async def check(_wanted: Strict, credentials: ForNodes, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Check that every subscriber has the same administrator name and password (R17)."""
    return {"problems": await publishing.check_nodes(node, credentials)}


@router.post("/nodes/publish", response_model=Published)
async def publish(wanted: Publish, credentials: ForNodes, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Publish missing and changed files to the subscribers; report those that cannot be reached."""
    files, deliveries = await publishing.publish(node, wanted.phones, credentials, actor, dry_run=wanted.dry_run)
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
        "warnings": device_names.notes(wanted.phones or ()),
    }
