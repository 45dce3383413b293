# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registers phones: from a list, for a rollout, or from the data of an earlier CAPF (R16, R23, R26)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from capf.administration.node import Node
from capf.administration.requests import change
from capf.registry import phone_import, phones, strings
from capf.registry.changes import Changes
from capf.registry.rollout import begin
from capf.registry.transaction import Transaction

Listed = Mapping[str, Any]
"""A phone of a list: its device name, settings, and optional authentication string."""


async def ensure(
    node: Node,
    listed: Sequence[Listed],
    state: Literal["present", "absent"],
    actor: str,
    *,
    confirm: int | None,
    dry_run: bool,
) -> Changes:
    """Register, change or remove phones; all or nothing. Their authentication strings are checked, but not used."""
    settings = [{name: value for name, value in phone.items() if name != strings.FIELD} for phone in listed]

    def rule(tx: Transaction) -> Changes:
        changes = phones.ensure(tx, settings, state, confirm)
        if state == "present":
            strings.refuse_wrong(tx, listed)
        return changes

    return await change(node, rule, actor, dry_run=dry_run)


def register_for_rollout(tx: Transaction, listed: Sequence[Listed]) -> Changes:
    """Register the phones of a rollout's list; the rollout itself uses the security modes and strings in the list."""
    changes = phones.ensure(tx, begin.settings_of(tx.connection, listed), "present")
    strings.refuse_wrong(tx, listed)
    return changes


async def import_phones(
    node: Node, given: Sequence[Listed], actor: str, *, strict: bool, confirm: int | None, dry_run: bool
) -> phone_import.Import:
    """Import phones, their LSCs and their pending operations; data of this server is kept."""
    earlier = list(map(phone_import.EarlierPhone.of, given))
    reading = await asyncio.to_thread(phone_import.read, node.context, earlier)
    return await change(
        node, lambda tx: phone_import.carry_out(tx, reading, strict=strict, confirm=confirm), actor, dry_run=dry_run
    )
