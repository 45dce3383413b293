# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF service: status, activation, restart, and its parameters (R13, R24, R25)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from capf.administration import activation
from capf.administration.node import Node
from capf.api.authentication import Actor, RunningNode
from capf.api.shapes import (
    Activated,
    Activation,
    ParameterChange,
    Parameters,
    ParametersChanged,
    Restart,
    Restarted,
    Service,
)
from capf.registry.parameters import Kind

router = APIRouter(tags=["service"])


@router.get("/service", response_model=Service)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the state of the CAPF service, why it does not run, and the damaged files and rows of the server."""
    return await activation.status(node)


@router.put("/service", response_model=Activated)
async def activate(wanted: Activation, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Activate or deactivate the CAPF service; only on the first node.

    If it is activated but does not run, it is started, which counts as a change. Refused if it cannot run.
    """
    return asdict(await activation.activate(node, wanted.activated, actor, dry_run=wanted.dry_run))


@router.post("/service/restart", response_model=Restarted)
async def restart(wanted: Restart, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Restart the CAPF service, which applies changed parameters and starts a stopped service.

    With ``if_due``, only if that is necessary. If it cannot run with the current parameters, it continues as it is.
    """
    return asdict(await activation.restart(node, actor, if_due=wanted.if_due, dry_run=wanted.dry_run))


@router.get("/service-parameters", response_model=Parameters)
async def service_parameters(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the service parameters."""
    return await activation.show_parameters(node, "service")


@router.get("/enterprise-parameters", response_model=Parameters)
async def enterprise_parameters(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the enterprise parameters."""
    return await activation.show_parameters(node, "enterprise")


@router.put("/service-parameters", response_model=ParametersChanged)
async def set_service_parameters(wanted: ParameterChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Set service parameters; they take effect after a restart of the service."""
    return await _set(node, "service", wanted, actor)


@router.put("/enterprise-parameters", response_model=ParametersChanged)
async def set_enterprise_parameters(wanted: ParameterChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Set enterprise parameters; they take effect after a restart of the service."""
    return await _set(node, "enterprise", wanted, actor)


async def _set(node: Node, kind: Kind, wanted: ParameterChange, actor: str) -> dict[str, Any]:
    done, due = await activation.set_parameters(node, kind, wanted.parameters, actor, dry_run=wanted.dry_run)
    return {**asdict(done), "restart_required": due}
