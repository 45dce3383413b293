# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate operations: bulk scheduling, and waiting for their end (R26)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf import device_names
from capf.administration import requests
from capf.api.authentication import Actor, RunningNode
from capf.api.shapes import OperationsChange, OperationsChanged, Progress, Wait
from capf.model import InvalidRequestError, Problem
from capf.registry import moment, phones, progress, schedule

router = APIRouter(tags=["operations"])


@router.post("/operations", response_model=OperationsChanged)
async def change(wanted: OperationsChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Schedule an operation for every phone that needs it, or cancel pending operations; all or nothing."""
    request = _request(wanted, node.context.now)
    plan = await requests.change(node, lambda tx: schedule.schedule(tx, request), actor, dry_run=wanted.dry_run)
    names = wanted.phones or [item.device_name for item in wanted.items or ()]
    return {
        "changed": bool(plan.results),
        "counts": {
            "scheduled": len(plan.scheduled),
            "pending": len(plan.pending),
            "skipped": sum(map(len, plan.skipped.values())),
            "cancelled": len(plan.cancelled),
        },
        "scheduled": plan.scheduled,
        "pending": plan.pending,
        "cancelled": plan.cancelled,
        "skipped": plan.skipped,
        "results": [change.show("device_name") for change in plan.results],
        "warnings": plan.warnings + device_names.notes(names),
        "completes_by": moment.show(plan.completes_by),
    }


def _request(wanted: OperationsChange, now: int) -> schedule.OperationRequest:
    if (wanted.phones is None) == (wanted.items is None):
        raise InvalidRequestError([Problem("phones", "", "give either phones or items")])
    defaults = wanted.model_dump(include=set(schedule.SETTINGS), exclude_none=True)
    problems = phones.choice_problems(defaults, "")
    if problems:
        raise InvalidRequestError(problems)
    items = [schedule.RequestedPhone.of(item.model_dump(exclude_none=True)) for item in wanted.items or ()]
    return schedule.OperationRequest(
        operation=wanted.operation,
        items=items or [schedule.RequestedPhone(name) for name in wanted.phones or ()],
        item_field="phones[{}]" if wanted.items is None else "items[{}]",
        defaults=defaults,
        completes_by=None if wanted.completes_by is None else moment.parse(wanted.completes_by, now),
        renew_before=wanted.renew_before,
        force=wanted.force,
        confirm=wanted.confirm,
    )


@router.post("/operations/wait", response_model=Progress)
async def wait(wanted: Wait, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Wait until the operations of all these phones have ended or the time is up."""
    seen = await requests.until_ended(node, lambda tx: progress.progress(tx.connection, wanted.phones), wanted.timeout)
    return {**seen, "warnings": device_names.notes(wanted.phones)}
