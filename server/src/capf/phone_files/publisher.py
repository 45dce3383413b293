# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the directory of the TFTP server up to date with the record: the same files that phones fetch over HTTP.

It follows the audit table, because every change has a row there: a round reads the rows since the last one and remakes
the files of their phones. Code that changes a phone needs no call to it, and a large change does not slow down its
request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from capf.certificates.envelope import SUFFIX
from capf.certificates.signatures import SigningKey
from capf.model import CapfError, ConflictError
from capf.phone_files import signed_files
from capf.phone_files.cnf_xml import ConfigurationError
from capf.phone_files.content import configurations, shared_files
from capf.phone_files.folder import CONFIGURATION_SUFFIX, Folder, digest
from capf.registry import file_signer
from capf.registry.context import Context
from capf.registry.parameters import InForce
from capf.registry.phones import REMOVED
from capf.registry.transaction import Transaction
from capf.store import audit, rows
from capf.store.engine import Job, Store

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_PHONES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _News:
    """The changes since the last round."""

    last: int
    in_force: InForce
    phones: Sequence[str]
    removed: frozenset[str]
    key: SigningKey | None


class Publisher:
    """Writes changed files, each atomically; without a ``directory`` it does nothing."""

    def __init__(self, store: Store, context: Context, source: Folder, directory: Path | None) -> None:
        self._store = store
        self._context = context
        self._source = source
        self._directory = directory
        self._seen: int | None = None
        self._in_force: InForce | None = None
        self._key: SigningKey | None = None
        self._round = asyncio.Lock()

    async def run(self) -> None:
        """Publish changes forever."""
        while self._directory is not None:
            try:
                await self.publish()
            except CapfError as error:
                LOG.error("event=publish-failed error=%r", str(error))
            await asyncio.sleep(_LOOK_SECONDS)

    async def publish(self, names: Sequence[str] = ()) -> None:
        """Wait until the files match the record; always compare those of ``names``.

        ConflictError if the directory cannot be written.
        """
        if self._directory is None:
            return
        target = Folder(self._directory)
        try:
            async with self._round:
                await self._publish(target, names)
        except OSError as error:
            raise ConflictError(f"the TFTP directory {self._directory} cannot be written: {error.strerror}") from error

    async def _publish(self, target: Folder, names: Sequence[str]) -> None:
        news = await self._store.aread(self._news)
        shared = await asyncio.to_thread(shared_files, self._context, self._source)
        written = await asyncio.to_thread(_write, target, shared, news.key)
        phones = list(dict.fromkeys([*names, *news.phones]))
        for start in range(0, len(phones), _PHONES_AT_ONCE):
            batch = phones[start : start + _PHONES_AT_ONCE]
            files = await self._store.aread(self._files_of(batch))
            written += await asyncio.to_thread(_write, target, files, news.key)
        for name in news.removed:
            for suffix in ("", SUFFIX):
                await asyncio.to_thread(target.remove, f"{name}{CONFIGURATION_SUFFIX}{suffix}")
        self._seen, self._in_force, self._key = news.last, news.in_force, news.key
        if written or news.removed:
            LOG.info("event=published written=%d removed=%d", written, len(news.removed))

    def _news(self, connection: Connection) -> _News:
        """Return the phones whose files to check: all of them after a start, with new parameters or another signer."""
        key = file_signer.current(Transaction(connection, self._context))
        in_force = self._context.in_force(connection)
        since = audit.last_id(connection) if self._seen is None else self._seen
        audited = audit.after(connection, since)
        last = audited[-1].id if audited else since
        of_all = self._seen is None or (in_force, key) != (self._in_force, self._key)
        phones = rows.phone_names(connection) if of_all else [row.device_name for row in audited]
        removed = {row.device_name for row in audited if row.action == REMOVED}
        still = rows.phones_of(connection, sorted(removed))
        return _News(last, in_force, phones, frozenset(removed - set(still)), key)

    def _files_of(self, names: Sequence[str]) -> Job[dict[str, bytes]]:
        def job(connection: Connection) -> dict[str, bytes]:
            made = configurations(Transaction(connection, self._context), names, self._context.node_name)
            return {
                f"{name}{CONFIGURATION_SUFFIX}": data
                for name, data in made.items()
                if not isinstance(data, ConfigurationError)
            }

        return job


def _write(target: Folder, files: Mapping[str, bytes], key: SigningKey | None) -> int:
    """Write the files whose bytes changed, and return their number. Without a key, remove signed forms."""
    names = target.different({name: digest(data) for name, data in files.items()})
    changed = {name: files[name] for name in names}
    for name in filter(signed_files.has_signed_form, files):
        signed = f"{name}{SUFFIX}"
        if key is None:
            target.remove(signed)
        elif not signed_files.is_signed_form(target.read(signed) or b"", name, files[name], key):
            changed[signed] = signed_files.sign(name, files[name], key)
    target.write(changed)
    return len(changed)
