"""The CAPF service: status, activation, restart, and its parameters (R13, R24, R25)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf import __version__
from capf.api.login import Actor, RunningNode
from capf.api.node import Node
from capf.api.running import SERVICE_CHANGE, carry_out
from capf.api.shapes import (
    Activated,
    Activation,
    Change,
    Changed,
    ParameterChange,
    Parameters,
    ParametersChanged,
    Service,
)
from capf.registry import capf_certificate, ctl_file, parameters, service
from capf.store import journal

router = APIRouter(tags=["service"])


@router.get("/service", response_model=Service)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the state of the CAPF service."""
    activated, stored, certificates, now = await node.store.aread(
        lambda c: (
            service.is_activated(c),
            parameters.stored(c),
            capf_certificate.overview(c, node.context),
            ctl_file.status(c, node.context),
        )
    )
    running = node.context.running
    return {
        "version": __version__,
        "first_node": node.context.first_node,
        "activated": activated,
        "running": running is not None,
        "restart_required": running is not None and running != stored,
        "capf_phone_port": (running or stored).number("CAPF Phone Port"),
        "sessions_open": node.sessions_open,
        "capf_certificate": certificates["current"],
        "ctl_file": {"state": now.state.value, "reasons": now.reasons},
    }


@router.put("/service", response_model=Activated)
async def activate(wanted: Activation, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Activate or deactivate the CAPF service; on the first node only. One that is activated and does not run, since it
    could not listen for example, is started, which is a change too."""

    def change(connection: Connection) -> tuple[bool, list[str]]:
        changed = service.activate(connection, node.context, wanted.activated, actor)
        return changed, ctl_file.warnings(connection, node.context)

    async with SERVICE_CHANGE:
        running = node.context.running is not None
        changed, warnings = await carry_out(node, change, dry_run=wanted.dry_run)
        if not wanted.dry_run and wanted.activated:
            await node.start_service()
        elif not wanted.dry_run:
            await node.stop_service()
    return {
        "changed": changed or (wanted.activated and not running),
        "before": {"activated": wanted.activated != changed, "running": running},
        "after": {"activated": wanted.activated, "running": wanted.activated},
        "warnings": warnings,
    }


@router.post("/service/restart", response_model=Changed)
async def restart(wanted: Change, actor: Actor, node: RunningNode) -> dict[str, bool]:
    """Restart the CAPF service, which brings changed parameters in force."""
    async with SERVICE_CHANGE:
        await carry_out(node, lambda c: service.restart(c, node.context, actor), dry_run=wanted.dry_run)
        if not wanted.dry_run:
            await node.stop_service()
            await node.start_service()
    return {"changed": True}


@router.get("/service-parameters", response_model=Parameters)
async def service_parameters(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the service parameters."""
    return await _show(node, "service")


@router.get("/enterprise-parameters", response_model=Parameters)
async def enterprise_parameters(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the enterprise parameters."""
    return await _show(node, "enterprise")


@router.put("/service-parameters", response_model=ParametersChanged)
async def set_service_parameters(wanted: ParameterChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Set service parameters; in force after a restart of the service."""
    return await _set(node, "service", wanted, actor)


@router.put("/enterprise-parameters", response_model=ParametersChanged)
async def set_enterprise_parameters(wanted: ParameterChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Set enterprise parameters; in force after a restart of the service."""
    return await _set(node, "enterprise", wanted, actor)


async def _show(node: Node, kind: parameters.Kind) -> dict[str, Any]:
    activated, stored = await node.store.aread(lambda c: (service.is_activated(c), parameters.stored(c)))
    return {"active": activated, "parameters": parameters.show(kind, stored, node.context.running)}


async def _set(node: Node, kind: parameters.Kind, wanted: ParameterChange, actor: str) -> dict[str, Any]:
    def change(connection: Connection) -> dict[str, Any]:
        before, after = parameters.change(connection, kind, wanted.parameters)
        if after:
            act = [journal.Act(f"change {kind} parameters", detail=after)]
            journal.record(connection, node.context.now, actor, act)
        running = node.context.running
        due = running is not None and running != parameters.stored(connection)
        return {"changed": bool(after), "before": before, "after": after, "restart_required": due}

    return await carry_out(node, change, dry_run=wanted.dry_run)
