"""The CAPF service: status, activation, restart, and its parameters (R13, R24, R25)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf import __version__
from capf.api.authentication import Actor, RunningNode
from capf.api.node import Node
from capf.api.running import SERVICE_CHANGE, carry_out
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
from capf.registry import capf_certificate, ctl_file, faults, health, parameters, service
from capf.registry.transaction import Transaction

router = APIRouter(tags=["service"])


@router.get("/service", response_model=Service)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the state of the CAPF service, why it does not run, and what of the server's files and rows is damaged."""
    activated, stored, certificate, now, found = await node.store.aread(
        lambda c: (
            service.is_activated(c),
            parameters.stored(c),
            capf_certificate.overview(Transaction(c, node.context))["current"]
            if node.context.authority.usable
            else None,
            ctl_file.status(Transaction(c, node.context)),
            faults.find(Transaction(c, node.context)),
        )
    )
    running = node.context.running
    return {
        "version": __version__,
        "first_node": node.context.first_node,
        "activated": activated,
        "running": running is not None,
        "problem": health.why_stopped(node.context) if activated else "",
        "restart_required": activated and running != stored,
        "capf_phone_port": (running or stored).number(parameters.PORT),
        "sessions_open": node.sessions_open,
        "capf_certificate": certificate,
        "ctl_file": {"state": now.state.value, "reasons": now.reasons},
        "faults": faults.show(found),
    }


@router.put("/service", response_model=Activated)
async def activate(wanted: Activation, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Activate or deactivate the CAPF service; on the first node only. One that is activated and does not run is
    started, which is a change too. Refused where it could not run."""

    def change(connection: Connection) -> tuple[bool, list[str]]:
        changed = service.activate(Transaction(connection, node.context, actor), wanted.activated)
        return changed, ctl_file.warnings(Transaction(connection, node.context))

    async with SERVICE_CHANGE:
        running = node.context.running is not None
        changed, warnings = await carry_out(node, change, dry_run=True)
        if wanted.activated and not running:
            await _prepare(node, actor, dry_run=wanted.dry_run)
        if not wanted.dry_run:
            changed, warnings = await carry_out(node, change, dry_run=False)
            await (node.start_service() if wanted.activated else node.stop_service())
    return {
        "changed": changed or (wanted.activated and not running),
        "before": {"activated": wanted.activated != changed, "running": running},
        "after": {"activated": wanted.activated, "running": wanted.activated},
        "warnings": warnings,
    }


async def _prepare(node: Node, actor: str, *, dry_run: bool) -> None:
    """ConflictError where CAPF could not run with the parameters as they are; nothing was changed then."""
    if not dry_run:
        await node.accept_strings_key(actor)
    await node.check_service()


@router.post("/service/restart", response_model=Restarted)
async def restart(wanted: Restart, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Restart the CAPF service, which brings changed parameters in force and starts one that does not run; with
    ``if_due`` only then. One that could not run with the parameters as they are goes on as it is."""
    async with SERVICE_CHANGE:
        running = node.context.running
        activated, stored = await node.store.aread(lambda c: (service.is_activated(c), parameters.stored(c)))
        before = {"running": running is not None, "restart_required": activated and running != stored}
        due = not activated or before["restart_required"] or not wanted.if_due
        if due:
            await carry_out(node, lambda c: service.restart(Transaction(c, node.context, actor)), dry_run=True)
            await _prepare(node, actor, dry_run=wanted.dry_run)
        if due and not wanted.dry_run:
            await carry_out(node, lambda c: service.restart(Transaction(c, node.context, actor)), dry_run=False)
            await node.stop_service()
            await node.start_service()
    return {"changed": due, "before": before, "after": {"running": True, "restart_required": False}}


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
        before, after = parameters.change(connection, kind, wanted.parameters, node.context.why_not_listen)
        if after:
            Transaction(connection, node.context, actor).audit(f"change {kind} parameters", **after)
        running = node.context.running
        due = service.is_activated(connection) and running != parameters.stored(connection)
        return {"changed": bool(after), "before": before, "after": after, "restart_required": due}

    return await carry_out(node, change, dry_run=wanted.dry_run)
