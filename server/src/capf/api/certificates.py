"""The CAPF certificate, and the trusted issuers of MICs (R1, R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf.api.authentication import Actor, RunningNode
from capf.api.certificates_shapes import (
    CapfCertificateChange,
    CapfCertificates,
    CapfCertificatesChanged,
    CapfTrustChange,
    ManufacturingCas,
    ManufacturingCasChange,
    ManufacturingCasChanged,
)
from capf.api.node import Node
from capf.api.running import SERVICE_CHANGE, carry_out
from capf.registry import capf_certificate, manufacturing
from capf.registry.plan import Plan
from capf.registry.transaction import Transaction

router = APIRouter(tags=["certificates"])


@router.get("/capf-certificate", response_model=CapfCertificates)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the CAPF certificates, each with how many active LSCs it has issued."""
    return await node.store.aread(lambda c: capf_certificate.overview(Transaction(c, node.context)))


@router.put("/capf-certificate", response_model=CapfCertificatesChanged)
async def renew(wanted: CapfCertificateChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Prepare the next CAPF certificate, or make it the active one, which restarts the CAPF service where it runs."""
    renewal = capf_certificate.Renewal(wanted.state, wanted.renew_before_days, wanted.replaces, wanted.force)

    def job(connection: Connection) -> Plan:
        return capf_certificate.renew(
            Transaction(connection, node.context, actor), node.keystore, node.ctl_file(), renewal
        )

    return await _apply(node, job, dry_run=wanted.dry_run, restart=wanted.state == "active")


@router.put("/capf-certificate/trusted", response_model=CapfCertificatesChanged)
async def trust(wanted: CapfTrustChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Trust the LSCs of further CAPF certificates, or no longer those of earlier ones."""
    given = manufacturing.read(wanted.certificates, "certificates")

    def job(connection: Connection) -> Plan:
        context, keys = node.context, node.keystore
        if wanted.state == "present":
            return capf_certificate.trust(Transaction(connection, context, actor), keys, given)
        return capf_certificate.distrust(
            Transaction(connection, context, actor), keys, wanted.names, force=wanted.force
        )

    return await _apply(node, job, dry_run=wanted.dry_run)


@router.get("/manufacturing-cas", response_model=ManufacturingCas)
async def show_manufacturing(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the trusted issuers of MICs."""
    trusted = node.context.authority.mic_issuers
    return {
        "trusted": [manufacturing.show(item) for item in trusted],
        "warnings": manufacturing.warnings(trusted, node.context.now),
    }


@router.put("/manufacturing-cas", response_model=ManufacturingCasChanged)
async def set_manufacturing(wanted: ManufacturingCasChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Trust issuers of MICs, or not; in force at once for new sessions."""
    given = manufacturing.read(wanted.certificates, "certificates")

    def job(connection: Connection) -> Plan:
        return manufacturing.ensure(Transaction(connection, node.context, actor), node.keystore, given, wanted.state)

    return await _apply(node, job, dry_run=wanted.dry_run)


async def _apply(
    node: Node, job: Callable[[Connection], Plan], *, dry_run: bool, restart: bool = False
) -> dict[str, Any]:
    """Record the change, and carry it out after the commit; with ``restart``, while no phone is in a session."""
    async with SERVICE_CHANGE:
        plan = await carry_out(node, job, dry_run=dry_run)
        if plan.carry_out is not None and not dry_run:
            running = restart and node.context.running is not None
            if running:
                await node.stop_service()
            try:
                await asyncio.to_thread(plan.carry_out)
                node.reload_authority()
            finally:
                if running:
                    await node.start_service()
    return {"changed": plan.changed, "before": plan.before, "after": plan.after, "warnings": plan.warnings}
