# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup of the running node (R20)."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from capf.administration.backup.making import MadeBackup
from capf.administration.node import Node
from capf.administration.requests import change


async def back_up(node: Node, passphrase: str | None, actor: str) -> tuple[BinaryIO, MadeBackup]:
    """Return an archive with keys, certificates, traces and database, in a file that the caller closes.

    It was checked as a restore would check it. Without ``passphrase`` it is a plain archive.
    """
    file, made = await asyncio.to_thread(node.back_up, passphrase)
    try:
        await change(node, lambda tx: tx.audit("back up", encrypted=passphrase is not None), actor, dry_run=False)
    except BaseException:
        file.close()
        raise
    return file, made
