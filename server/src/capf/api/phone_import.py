# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Importing the data of an earlier CAPF (R23)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from capf.administration import registration
from capf.api.authentication import Actor, RunningNode
from capf.api.shapes import MAXIMUM_PHONES, Change, Phone, PhoneResult
from capf.model import Operation

router = APIRouter(tags=["phones"])


class EarlierPhone(Phone):
    """A phone as the earlier CAPF knows it; ``operation`` is the one that is pending there."""

    certificate: Annotated[str | None, Field(max_length=100_000)] = None
    serial_number: Annotated[str | None, Field(max_length=80)] = None
    operation: Operation = Operation.NONE
    completes_by: Annotated[str | None, Field(max_length=80)] = None


class PhoneImport(Change):
    """The phones of an earlier CAPF."""

    phones: Annotated[list[EarlierPhone], Field(max_length=MAXIMUM_PHONES)]


class Conflict(BaseModel):
    """What the earlier CAPF says otherwise than this server."""

    device_name: str
    field: str
    here: str
    imported: str


class Imported(BaseModel):
    """What becomes of the phones."""

    changed: bool
    counts: dict[str, int]
    results: list[PhoneResult]
    conflicts: list[Conflict]
    warnings: list[str]


@router.post("/phones/import", response_model=Imported)
async def import_phones(wanted: PhoneImport, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Import phones, their LSCs and their pending operations; all or nothing, and what is known here stays."""
    given = [phone.model_dump(exclude_none=True) for phone in wanted.phones]
    done = await registration.import_phones(node, given, actor, dry_run=wanted.dry_run)
    return {
        "changed": bool(done.after),
        "counts": done.counts,
        "results": [change.show("device_name") for change in done.results],
        "conflicts": done.conflicts,
        "warnings": done.warnings,
    }
