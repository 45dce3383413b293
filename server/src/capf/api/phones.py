"""Phones: registering, finding, resetting (R28, R29)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf.api.authentication import Actor, Given, RunningNode
from capf.api.handing_out import hand_out_before_reset
from capf.api.running import carry_out
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
from capf.registry import phones, progress, search, strings
from capf.registry.transaction import Transaction

router = APIRouter(tags=["phones"])


@router.post("/phones", response_model=PhonesChanged)
async def ensure(wanted: PhonesChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Register, change or remove phones; all or nothing."""
    listed = [phone.model_dump(exclude_none=True) for phone in wanted.phones]
    given = [{name: value for name, value in phone.items() if name != strings.FIELD} for phone in listed]

    def job(connection: Connection) -> phones.Changes:
        changes = phones.ensure(Transaction(connection, node.context, actor), given, wanted.state)
        if wanted.state == "present":
            strings.refuse_wrong(Transaction(connection, node.context), listed)
        return changes

    changes = await carry_out(node, job, dry_run=wanted.dry_run)
    return {"changed": changes.changed, "counts": changes.counts, "results": changes.results}


@router.post("/phones/find", response_model=FoundPhones)
async def find(wanted: Search, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Find phones by criteria that must all match."""
    page = search.Page(wanted.sort, wanted.descending, wanted.page, wanted.rows_per_page)
    criteria = search_criteria(wanted.criteria)
    total, found = await node.store.aread(
        lambda c: search.find(
            Transaction(c, node.context), criteria, page, strings=wanted.authentication_strings, fields=wanted.fields
        )
    )
    return {"total": total, "page": page.number, "rows_per_page": page.rows, "phones": found}


def search_criteria(given: list[SearchCriterion]) -> list[search.Criterion]:
    """Return the criteria of a request as the registry takes them."""
    return [search.Criterion(item.field, item.pattern, item.value) for item in given]


@router.post("/phones/unlock", response_model=Unlocked)
async def unlock(wanted: Unlock, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Lift the locks that wrong authentication strings have set, for all addresses."""
    names = await carry_out(
        node, lambda c: phones.unlock(Transaction(c, node.context, actor), wanted.phones), dry_run=wanted.dry_run
    )
    return {"changed": bool(names), "unlocked": names}


@router.post("/phones/reset", response_model=ResetDone)
async def reset(wanted: Reset, given: Given, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Have the call processor reset phones, so that their settings take effect; further nodes get their files first."""
    node.resetter.check()
    await node.store.aread(lambda c: progress.progress(c, wanted.phones))
    faults: dict[str, str] = {}
    if not wanted.dry_run:
        await hand_out_before_reset(node, wanted.phones, given, actor)
        await node.store.awrite(lambda c: _record_reset(Transaction(c, node.context, actor), wanted.phones))
        faults = await node.resetter.reset(wanted.phones)
    return {
        "changed": bool(wanted.phones),
        "counts": {"reset": len(wanted.phones) - len(faults), "failed": len(faults)},
        "failed": [{"device_name": name, "problem": fault} for name, fault in faults.items()],
    }


def _record_reset(tx: Transaction, names: Sequence[str]) -> None:
    for name in names:
        tx.audit("reset phone", name)
