# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes the administrator's password, with the old one or as the owner of the node (R17, P89).

The password is compared with the stored hash and hashed outside of the transaction, because phones would wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from capf.administration.node import Node
from capf.administration.requests import change, read
from capf.certificates.passwords import hash_password, password_is_right
from capf.model import InvalidRequestError, not_allowed
from capf.registry import account
from capf.registry.transaction import Transaction
from capf.store import named_values
from capf.store.engine import Store

_COMMAND = "capf account password"


async def change_password(node: Node, password: str, actor: str, *, dry_run: bool) -> bool:
    """Change the password of an administrator who has logged in with the old one; return whether it was a different
    one.

    InvalidRequestError if it is not allowed.
    """
    account.refuse_wrong(actor, password)
    _unused, kept = await read(node, lambda tx: account.stored(tx.connection))
    if await asyncio.to_thread(password_is_right, password, kept):
        return False
    hashed = kept if dry_run else await asyncio.to_thread(hash_password, password)

    def rule(tx: Transaction) -> None:
        account.renew(tx.connection, kept, hashed, tx.now, tx.actor)

    await change(node, rule, actor, dry_run=dry_run)
    if not dry_run:
        node.logins.forget()
    return True


def ensure_password(database: str, administrator: str, password: str, *, rename: bool, dry_run: bool) -> bool:
    """Change the password or repair a damaged account, without the old one; return whether that was needed.

    InvalidRequestError if it is not allowed, or if the administrator has another name and must not be renamed.
    """
    account.refuse_wrong(administrator, password)
    store = Store(database)
    try:
        texts = store.read(named_values.every)
        damaged = bool(account.faults(texts))
        if not damaged and texts[account.ADMINISTRATOR] != administrator and not rename:
            allowed = f"{texts[account.ADMINISTRATOR]}, the administrator's name; add --rename to change it"
            raise InvalidRequestError([not_allowed(account.ADMINISTRATOR, administrator, allowed)])
        if not damaged and _fits(texts, administrator, password):
            return False
        if not dry_run:
            _write(store, administrator, password, None if damaged else texts)
        return True
    finally:
        store.close()


def _fits(texts: Mapping[str, str], administrator: str, password: str) -> bool:
    return texts[account.ADMINISTRATOR] == administrator and password_is_right(password, texts[account.PASSWORD])


def _write(store: Store, administrator: str, password: str, texts: Mapping[str, str] | None) -> None:
    """Write the account, only the password if the administrator keeps the name (``texts``: the stored ones)."""
    now = int(time.time())
    if texts is None or texts[account.ADMINISTRATOR] != administrator:
        store.write(lambda connection: account.put(connection, administrator, password, now, _COMMAND))
        return
    before, after = texts[account.PASSWORD], hash_password(password)
    store.write(lambda connection: account.renew(connection, before, after, now, _COMMAND))
