# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes to the server's keys and trusted certificates, recorded first and carried out after the commit (R1, R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cryptography import x509

from capf.administration.node import Node
from capf.administration.requests import Changed, Rule, change
from capf.registry import capf_certificate, manufacturing
from capf.registry.changes import KeystoreChange
from capf.registry.transaction import Transaction


async def renew(node: Node, renewal: capf_certificate.Renewal, actor: str, *, dry_run: bool) -> Changed:
    """Prepare the next CAPF certificate, or activate it, which restarts a running CAPF service."""

    def rule(tx: Transaction) -> KeystoreChange:
        return capf_certificate.renew(tx, node.keystore, node.ctl_file(), renewal)

    return await _apply(node, rule, actor, dry_run=dry_run, restart=renewal.state == "active")


async def trust(node: Node, given: Sequence[x509.Certificate], actor: str, *, dry_run: bool) -> Changed:
    """Trust the LSCs of additional CAPF certificates."""
    return await _apply(node, lambda tx: capf_certificate.trust(tx, node.keystore, given), actor, dry_run=dry_run)


async def distrust(node: Node, revocation: capf_certificate.Revocation, actor: str, *, dry_run: bool) -> Changed:
    """Stop trusting the LSCs of earlier CAPF certificates."""

    def rule(tx: Transaction) -> KeystoreChange:
        return capf_certificate.distrust(tx, node.keystore, revocation)

    return await _apply(node, rule, actor, dry_run=dry_run)


async def set_manufacturing(
    node: Node, given: Sequence[x509.Certificate], state: str, actor: str, *, dry_run: bool
) -> Changed:
    """Trust issuers of MICs, or stop trusting them; new sessions use the change immediately."""
    return await _apply(node, lambda tx: manufacturing.ensure(tx, node.keystore, given, state), actor, dry_run=dry_run)


async def _apply(
    node: Node, rule: Rule[KeystoreChange], actor: str, *, dry_run: bool, restart: bool = False
) -> Changed:
    """Record the change, and carry it out after the commit; with ``restart``, while no phone is in a session."""
    async with node.service.change:
        plan = await change(node, rule, actor, dry_run=dry_run)
        if plan.carry_out is not None and not dry_run:
            running = restart and node.context.running is not None
            if running:
                await node.service.stop()
            try:
                await asyncio.to_thread(plan.carry_out)
                node.reload_authority()
            finally:
                if running:
                    await node.service.start()
    return Changed(plan.changed, plan.before, plan.after, plan.warnings)
