# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF service as administrators see it: status, activation, restart, and its parameters (R13, R24, R25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capf import __version__
from capf.administration.node import Node
from capf.administration.requests import Changed, change, read
from capf.registry import capf_certificate, ctl_file, faults, health, parameter_changes, parameters, service
from capf.registry.transaction import Transaction


async def status(node: Node) -> dict[str, Any]:
    """Return the state of the CAPF service, why it does not run, and the damaged files and rows of the server."""
    shown = await read(node, _status)
    return {**shown, "sessions_open": node.service.sessions}


def _status(tx: Transaction) -> dict[str, Any]:
    context, now = tx.context, ctl_file.status(tx)
    running, (activated, stored) = context.running, _as_set(tx)
    return {
        "version": __version__,
        "first_node": context.first_node,
        "activated": activated,
        "running": running is not None,
        "problem": health.why_stopped(context) if activated else "",
        "restart_required": _restart_required(activated, stored, running),
        "capf_phone_port": (running or stored).number(parameters.PORT),
        "capf_certificate": capf_certificate.overview(tx)["current"] if context.authority.usable else None,
        "ctl_file": {"state": now.state.value, "reasons": now.reasons},
        "faults": faults.show(faults.find(tx)),
    }


def _as_set(tx: Transaction) -> tuple[bool, parameters.InForce]:
    """Return whether CAPF is activated, and the stored parameters."""
    return service.is_activated(tx.connection), parameters.stored(tx.connection)


def _restart_required(activated: bool, stored: parameters.InForce, running: parameters.InForce | None) -> bool:
    """Return whether CAPF has to be started or restarted to apply the stored parameters."""
    return activated and running != stored


async def activate(node: Node, wanted: bool, actor: str, *, dry_run: bool) -> Changed:
    """Activate or deactivate CAPF. If it is activated but does not run, it is started, which counts as a change.

    ConflictError on a subscriber, or if CAPF cannot run; then nothing has changed.
    """

    def rule(tx: Transaction) -> tuple[bool, list[str]]:
        return service.activate(tx, wanted), ctl_file.warnings(tx)

    async with node.service.change:
        running = node.context.running is not None
        changed, warnings = await change(node, rule, actor, dry_run=True)
        if wanted and not running:
            await _prepare(node, actor, dry_run=dry_run)
        if not dry_run:
            changed, warnings = await change(node, rule, actor, dry_run=False)
            await (node.service.start() if wanted else node.service.stop())
    return Changed(
        changed or (wanted and not running),
        {"activated": wanted != changed, "running": running},
        {"activated": wanted, "running": wanted},
        warnings,
    )


async def _prepare(node: Node, actor: str, *, dry_run: bool) -> None:
    """Raise ConflictError if CAPF cannot run with the current parameters; change nothing."""
    if not dry_run:
        await node.service.accept_key(actor)
    await node.service.check()


async def restart(node: Node, actor: str, *, if_due: bool, dry_run: bool) -> Changed:
    """Restart CAPF, which applies changed parameters and starts a stopped service; ``if_due``: only if necessary.

    ConflictError if it cannot run with the current parameters; then it continues as it is.
    """
    async with node.service.change:
        running = node.context.running
        activated, stored = await read(node, _as_set)
        required = _restart_required(activated, stored, running)
        before = {"running": running is not None, "restart_required": required}
        due = not activated or required or not if_due
        if due:
            await change(node, service.restart, actor, dry_run=True)
            await _prepare(node, actor, dry_run=dry_run)
        if due and not dry_run:
            await change(node, service.restart, actor, dry_run=False)
            await node.service.stop()
            await node.service.start()
    return Changed(due, before, {"running": True, "restart_required": False})


async def show_parameters(node: Node, kind: parameters.Kind) -> dict[str, Any]:
    """Return the parameters of one kind, both stored and in effect."""
    activated, stored = await read(node, _as_set)
    return {"active": activated, "parameters": parameters.show(kind, stored, node.context.running)}


async def set_parameters(
    node: Node, kind: parameters.Kind, wanted: Mapping[str, object], actor: str, *, dry_run: bool
) -> tuple[Changed, bool]:
    """Set parameters; also return whether CAPF has to be restarted to apply them."""

    def rule(tx: Transaction) -> tuple[Changed, bool]:
        before, after = parameter_changes.change(tx, kind, wanted)
        return Changed(bool(after), before, after), _restart_required(*_as_set(tx), tx.context.running)

    return await change(node, rule, actor, dry_run=dry_run)
