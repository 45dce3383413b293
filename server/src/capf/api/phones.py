# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phones: registration, search, resets (R28, R29)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf import device_names
from capf.administration import registration, resets
from capf.administration.requests import change, read
from capf.api.authentication import Actor, ForNodes, RunningNode
from capf.api.shapes import (
    FoundPhones,
    PhonesChange,
    PhonesChanged,
    Reset,
    ResetDone,
    Search,
    SearchCriterion,
    Unlock,
    Unlocked,
)
from capf.registry import phones, search
from capf.registry.rollout import lease

router = APIRouter(tags=["phones"])


@router.post("/phones", response_model=PhonesChanged)
async def ensure(wanted: PhonesChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Register, change or remove phones; all or nothing."""
    listed = [phone.model_dump(exclude_none=True) for phone in wanted.phones]
    changes = await registration.ensure(
        node, listed, wanted.state, actor, confirm=wanted.confirm, dry_run=wanted.dry_run
    )
    return {
        "changed": changes.changed,
        "counts": changes.counts,
        "results": [change.show("device_name") for change in changes.results],
        "warnings": changes.warnings + device_names.notes(phone.device_name for phone in wanted.phones),
    }


@router.post("/phones/find", response_model=FoundPhones)
async def find(wanted: Search, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Find phones by criteria that must all match."""
    page = search.Page(wanted.sort, wanted.descending, wanted.page, wanted.rows_per_page)
    criteria = search_criteria(wanted.criteria)
    total, found = await read(
        node,
        lambda tx: search.find(tx, criteria, page, strings=wanted.authentication_strings, fields=wanted.fields),
    )
    return {"total": total, "page": page.number, "rows_per_page": page.rows, "phones": found}


def search_criteria(given: list[SearchCriterion] | None) -> list[search.Criterion]:
    """Convert the criteria of a request to those of the registry."""
    return [search.Criterion(item.field, item.pattern, item.value) for item in given or ()]


@router.post("/phones/unlock", response_model=Unlocked)
async def unlock(wanted: Unlock, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Remove the locks of phones after wrong authentication strings, for all addresses."""
    names = await change(node, lambda tx: phones.unlock(tx, wanted.phones), actor, dry_run=wanted.dry_run)
    return {"changed": bool(names), "unlocked": names, "warnings": device_names.notes(wanted.phones)}


@router.post("/phones/reset", response_model=ResetDone)
async def reset(wanted: Reset, credentials: ForNodes, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Publish the files of phones to the subscribers, then have the call processor reset the phones."""
    given = wanted.rollout
    run = None if given is None else lease.Run(given.name, given.rollout_id, given.runner)
    faults = await resets.reset(node, wanted.phones, run, credentials, actor, dry_run=wanted.dry_run)
    return {
        "changed": bool(wanted.phones),
        "counts": {"reset": len(wanted.phones) - len(faults), "failed": len(faults)},
        "failed": [{"device_name": name, "problem": fault} for name, fault in faults.items()],
        "warnings": device_names.notes(wanted.phones),
    }
