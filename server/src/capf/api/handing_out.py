"""Handing files to further nodes, with the credentials of the request that asks for it (R3)."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.security import HTTPBasicCredentials
from sqlalchemy import Connection

from capf.api.node import Node
from capf.cluster import delivery
from capf.model import ConflictError
from capf.phone_files.content import published_files
from capf.registry import ctl_file, nodes
from capf.registry.transaction import Transaction


async def hand_out(
    node: Node,
    further: Sequence[nodes.Node],
    phones: Sequence[str] | None,
    given: HTTPBasicCredentials,
    actor: str,
    *,
    dry_run: bool = False,
) -> tuple[int, list[delivery.Delivery]]:
    """Give nodes the shared files and the configuration files of ``phones`` (None: of all) that they do not have.

    Returns how many files there are, and what each node got. ConflictError where a node refuses the credentials.
    """
    files = await node.store.aread(lambda c: published_files(Transaction(c, node.context), node.folder, phones))
    credentials = delivery.Credentials(given.username, given.password)
    deliveries = await delivery.push(files, further, credentials, dry_run=dry_run)
    if not dry_run:
        await _remember(node, deliveries, actor)
    return len(files), deliveries


async def hand_out_before_reset(node: Node, phones: Sequence[str], given: HTTPBasicCredentials, actor: str) -> None:
    """Give the nodes that phones fetch their files from what these phones need after their reset.

    ConflictError names the nodes that cannot be given it: a phone that comes back must not find old files.
    """
    further = [item for item in await node.store.aread(nodes.further) if item.tftp]
    if not further:
        return
    _files, deliveries = await hand_out(node, further, phones, given, actor)
    problems = [f"{item.node}: {item.problem}" for item in deliveries if item.problem]
    if problems:
        raise ConflictError(
            "nothing was reset, because the phones would find old files on these nodes: "
            f"{'; '.join(problems)}. Reset the phones again when the nodes answer, or take them out of the cluster"
        )


async def _remember(node: Node, deliveries: list[delivery.Delivery], actor: str) -> None:
    def job(connection: Connection) -> None:
        tx, digest = Transaction(connection, node.context, actor), ctl_file.last_sha256(connection)
        for item in deliveries:
            if not item.problem:
                nodes.published(tx, item.node, digest)
            if item.sent or item.problem:
                tx.audit("publish files", node=item.node, files=len(item.sent), problem=item.problem)

    await node.store.awrite(job)
