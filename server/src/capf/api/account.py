# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's account (R17)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from capf.administration.password import change_password
from capf.api.authentication import Actor, RunningNode
from capf.api.shapes import ChangeRequest

router = APIRouter(tags=["account"])


class PasswordChange(ChangeRequest):
    """The administrator's new password; the request logs in with the old one."""

    password: Annotated[str, Field(max_length=1000, repr=False)]


class PasswordChanged(BaseModel):
    """Whether the password was a different one before."""

    changed: bool


@router.put("/account/password", response_model=PasswordChanged)
async def set_password(wanted: PasswordChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Change the administrator's password on this node; the old one is refused from the next request on."""
    return {"changed": await change_password(node, wanted.password, actor, dry_run=wanted.dry_run)}
