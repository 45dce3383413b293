# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishes files to subscribers, with the credentials of the current request (R3, R17)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from capf.administration.node import Node
from capf.administration.requests import change, read
from capf.cluster import delivery
from capf.cluster.delivery import Credentials, Delivery
from capf.model import ConflictError, FurtherNodeError
from capf.phone_files import folder
from capf.phone_files.content import published_files
from capf.phone_files.signed_files import with_signed_forms
from capf.registry import ctl_file, file_signer, nodes
from capf.registry.transaction import Transaction


async def check_nodes(node: Node, credentials: Credentials) -> dict[str, str]:
    """Return the problem of each subscriber with these credentials, empty if it accepts them.

    ConflictError if nodes refuse them.
    """
    return await delivery.check(await _further(node), credentials)


async def publish(
    node: Node, phones: Sequence[str] | None, credentials: Credentials, actor: str, *, dry_run: bool
) -> tuple[int, list[Delivery]]:
    """Publish the files that subscribers do not have: the shared files and those of ``phones`` (None: of all phones).

    Return the number of files, and the files that each node received. ConflictError on a subscriber, or if a node
    refuses the credentials.
    """
    if not node.context.first_node:
        raise FurtherNodeError("files are published")
    return await _publish(node, await _further(node), phones, credentials, actor, dry_run=dry_run)


async def publish_before_reset(node: Node, phones: Sequence[str], credentials: Credentials, actor: str) -> None:
    """Publish the files that these phones fetch after their reset to the nodes that serve them.

    ConflictError if a node cannot be updated: a phone must not load old files after its reset.
    """
    further = [item for item in await _further(node) if item.tftp]
    if not further:
        return
    _files, deliveries = await _publish(node, further, phones, credentials, actor, dry_run=False)
    problems = [f"{item.node}: {item.problem}" for item in deliveries if item.problem]
    if problems:
        raise ConflictError(
            "nothing was reset, because the phones would find old files on these nodes: "
            f"{'; '.join(problems)}. Reset the phones again when the nodes answer, or remove the nodes from the cluster"
        )


async def receive(node: Node, files: Mapping[str, bytes], actor: str, *, dry_run: bool) -> list[str]:
    """Store files that the first node publishes; return the names of those that were new or changed.

    InvalidRequestError with every wrong name and content, ConflictError on the first node; then nothing has changed.
    """
    if node.context.first_node:
        raise ConflictError("the first node makes its files itself; files can only be published to subscribers")

    def different() -> list[str]:
        folder.check(files)
        return node.folder.different({name: folder.digest(data) for name, data in files.items()})

    names = await asyncio.to_thread(different)
    if names and not dry_run:
        await change(node, lambda tx: tx.audit("take files", files=len(names)), actor, dry_run=False)
        await asyncio.to_thread(node.folder.write, {name: files[name] for name in names})
    return names


async def compare(node: Node, digests: Mapping[str, str]) -> list[str]:
    """Return the names of the files that are missing here or have a different digest."""
    return await asyncio.to_thread(node.folder.different, digests)


async def _further(node: Node) -> list[nodes.ClusterNode]:
    return await read(node, lambda tx: nodes.further(tx.connection))


async def _publish(
    node: Node,
    further: Sequence[nodes.ClusterNode],
    phones: Sequence[str] | None,
    credentials: Credentials,
    actor: str,
    *,
    dry_run: bool,
) -> tuple[int, list[Delivery]]:
    plain, key = await read(node, lambda tx: (published_files(tx, node.folder, phones), file_signer.current(tx)))
    files = await asyncio.to_thread(with_signed_forms, plain, key)
    deliveries = await delivery.push(files, further, credentials, dry_run=dry_run)
    if not dry_run:
        await change(node, lambda tx: _remember(tx, deliveries), actor, dry_run=False)
    return len(files), deliveries


def _remember(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    digest = ctl_file.last_sha256(tx.connection)
    for item in deliveries:
        if not item.problem:
            nodes.published(tx, item.node, digest)
        if item.sent or item.problem:
            tx.audit("publish files", node=item.node, files=len(item.sent), problem=item.problem)
