# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends operations at their deadline while the server runs."""

from __future__ import annotations

import asyncio
import logging

from capf.model import StoreUnavailableError
from capf.registry import lifecycle
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store

LOG = logging.getLogger(__name__)
_ROUND_SECONDS = 1.0


async def run(store: Store, context: Context) -> None:
    """Check every second, forever; a check only reads unless an operation ends.

    Servers that share a database do not interfere with each other: an operation ends only once.
    """
    while True:
        try:
            if await store.aread(lambda c: lifecycle.is_any_due(Transaction(c, context))):
                while count := await store.awrite(lambda c: lifecycle.end_due(Transaction(c, context))):
                    LOG.info("event=deadline operations=%d", count)
        except StoreUnavailableError as error:
            LOG.debug("event=deadline-unseen error=%r", str(error))
        await asyncio.sleep(_ROUND_SECONDS)
