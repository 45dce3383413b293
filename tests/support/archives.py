# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""In-process backups: the state of a node, and archives of which only the outer format is valid."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from capf.administration.backup import archive, sealing
from capf.administration.new_node import NewNode, initialise
from capf.certificates import keystore
from capf.model import Operation
from capf.node import configuration, state
from capf.node.node_settings import NodeSettings
from capf.registry import phones, schedule, tokens
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store.engine import Store

PASSPHRASE = "correct horse battery staple"
PHONE = "SEP001122334455"
COST = 4
"""log2 of scrypt's N, low because a test opens an archive a thousand times."""


def settings_in(directory: Path) -> NodeSettings:
    """Return the settings of a node with this state directory."""
    return configuration.parse(f"[server]\nstate_directory = {json.dumps(str(directory))}\n")


def make_node(directory: Path, filling: int = 0) -> NodeSettings:
    """Make a node with a phone whose string is pending, security tokens, a next CAPF key, and files to fill it up."""
    initialise(NewNode(directory, "admin", "correct-horse", ["localhost"]), time.time())
    settings, held = settings_in(directory), state.StateDirectory(directory)
    context = Context(
        authority=state.load(held).authority,
        secrets=state.load_secrets(held),
        clock=time.time,
        first_node=True,
        trace_directory=held.trace,
        token_directory=held.tokens,
    )

    def job(connection: Connection) -> None:
        phone = {"device_name": PHONE, "authentication_mode": "By Authentication String"}
        phones.ensure(Transaction(connection, context, "admin"), [phone], "present")
        install = schedule.OperationRequest(Operation.INSTALL, [schedule.RequestedPhone(PHONE)])
        schedule.schedule(Transaction(connection, context, "admin"), install)
        tokens.make_missing(Transaction(connection, context))

    store = Store(settings.database)
    store.write(job)
    store.close()
    keys = keystore.Keystore(directory)
    keys.prepare(time.time())
    keys.manufacturing.add([keys.issuing().certificate])
    settings.own_directory.mkdir()
    (settings.own_directory / "phone.xml").write_bytes(os.urandom(filling))
    return settings


def unpacked(data: bytes, passphrase: str | None) -> dict[str, bytes]:
    """Return the files of an archive, including its manifest."""
    content = b"".join(sealing.opened(io.BytesIO(data), passphrase)())
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


def packed(files: Mapping[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """Return files, and members without content, as a gzipped tar."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
            if name == list(files)[-2]:
                for item in more:
                    tar.addfile(item)
    return target.getvalue()


def closed(content: bytes, passphrase: str | None = None) -> bytes:
    """Return content in the outer format of an archive, as anybody with the passphrase can create it."""
    target = io.BytesIO()
    outer = sealing.sealed(target, passphrase, COST)
    outer.write(content)
    outer.finish()
    return target.getvalue()


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Return a manifest that matches the files."""
    given = json.loads(files[archive.MANIFEST])
    given["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
        if name != archive.MANIFEST
    }
    return json.dumps(given).encode()


def changed(data: bytes, change: Callable[[dict[str, bytes]], object], *, manifest: bool = True) -> bytes:
    """Return a plain archive with changed files; with ``manifest``, the manifest matches the changed files."""
    files = unpacked(data, None)
    change(files)
    if manifest and archive.MANIFEST in files:
        said = manifest_of(files)
        del files[archive.MANIFEST]
        files[archive.MANIFEST] = said
    return closed(packed(files))


def with_database(files: dict[str, bytes], directory: Path, *statements: str) -> None:
    """Run statements in the database of an archive's files."""
    path = directory / "changed.db"
    path.write_bytes(files[archive.DATABASE])
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files[archive.DATABASE] = path.read_bytes()
    path.unlink()
