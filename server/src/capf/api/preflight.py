# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checklist before certificate operations (R22, R33)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictBool

from capf import device_names
from capf.administration import checklist
from capf.api.authentication import Actor, ForNodes, RunningNode
from capf.api.shapes import Name, Phones, Setting, Strict

router = APIRouter(tags=["preflight"])
_Result = Literal["ok", "warning", "failed"]


class Wanted(Strict):
    """The phones to check (default: all), the intended parameters, and whether this server shall reset the phones."""

    phones: Phones | None = None
    parameters: Annotated[dict[Name, Setting], Field(min_length=1)] | None = None
    reset: StrictBool = False


class Item(BaseModel):
    """One line of the checklist, with its step of Table 10-2."""

    name: str
    step: str
    result: _Result
    message: str
    todo: str


class Checklist(BaseModel):
    """The checklist, and which of the phones have an LSC."""

    result: _Result
    checklist: list[Item]
    counts: dict[str, int]
    lsc_installed: list[str]
    lsc_not_installed: list[str]
    unknown: list[str]
    warnings: list[str]


@router.post("/preflight", response_model=Checklist)
async def check(wanted: Wanted, credentials: ForNodes, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Report whether certificate operations can begin: each item with its result and what to do; change nothing."""
    found = await checklist.check(node, wanted.phones, wanted.parameters or {}, credentials, reset=wanted.reset)
    return {**found, "warnings": device_names.notes(wanted.phones or ())}
