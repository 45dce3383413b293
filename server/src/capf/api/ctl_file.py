# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CTL file: its state and its update (R3, R22, R24)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from capf.administration import ctl_files
from capf.api.authentication import Actor, ForNodes, RunningNode
from capf.api.cluster_shapes import CtlFileChange, CtlFileChanged, ShownCtlFile
from capf.registry import ctl_file, tokens

router = APIRouter(tags=["ctl-file"])


@router.get("/ctl-file", response_model=ShownCtlFile)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the CTL file and whether it is current; on a subscriber, the published one."""
    return await ctl_files.show(node)


@router.put("/ctl-file", response_model=CtlFileChanged)
async def ensure(wanted: CtlFileChange, credentials: ForNodes, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Update the CTL file if it is outdated; refused if a node has different credentials (R17)."""
    options = ctl_file.Options(wanted.digest, wanted.signer_version)
    supplied = [
        tokens.Supplied(item.slot, item.certificate, item.private_key, item.passphrase) for item in wanted.tokens or ()
    ]
    made, unreachable = await ctl_files.make(node, options, supplied, credentials, actor, dry_run=wanted.dry_run)
    return {**asdict(made), "unreachable": unreachable}
