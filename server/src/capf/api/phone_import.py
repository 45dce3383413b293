# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports the data of an earlier CAPF (R23)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictBool

from capf import device_names
from capf.administration import registration
from capf.api.authentication import Actor, RunningNode
from capf.api.shapes import MAXIMUM_PHONES, ChangeRequest, Confirmed, Phone, PhoneResult
from capf.model import Operation

router = APIRouter(tags=["phones"])


class ImportItem(Phone):
    """A phone in the data of the earlier CAPF; ``operation`` is its pending operation there."""

    certificate: Annotated[str | None, Field(max_length=100_000)] = None
    serial_number: Annotated[str | None, Field(max_length=80)] = None
    operation: Operation = Operation.NONE
    completes_by: Annotated[str | None, Field(max_length=80)] = None
    operation_status: Annotated[str | None, Field(max_length=200)] = None


class PhoneImport(ChangeRequest):
    """The phones of an earlier CAPF; ``strict``: everything of every phone, or nothing."""

    strict: StrictBool = False
    confirm: Confirmed = None
    phones: Annotated[list[ImportItem], Field(min_length=1, max_length=MAXIMUM_PHONES)]


class Conflict(BaseModel):
    """A difference between the data of the earlier CAPF and of this server."""

    device_name: str
    field: str
    here: str
    imported: str


class NotTaken(BaseModel):
    """The part of a phone that was not imported, and why."""

    device_name: str
    field: str
    message: str


class Imported(BaseModel):
    """The changes to the phones."""

    changed: bool
    counts: dict[str, int]
    results: list[PhoneResult]
    conflicts: list[Conflict]
    not_taken: list[NotTaken]
    warnings: list[str]


@router.post("/phones/import", response_model=Imported)
async def import_phones(wanted: PhoneImport, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Import phones, their LSCs and their pending operations, as far as possible; data of this server is kept."""
    given = [phone.model_dump(exclude_none=True) for phone in wanted.phones]
    done = await registration.import_phones(
        node, given, actor, strict=wanted.strict, confirm=wanted.confirm, dry_run=wanted.dry_run
    )
    return {
        "changed": bool(done.after),
        "counts": asdict(done.counts),
        "results": [change.show("device_name") for change in done.results],
        "conflicts": done.conflicts,
        "not_taken": done.not_taken,
        "warnings": done.warnings + device_names.notes(phone.device_name for phone in wanted.phones),
    }
