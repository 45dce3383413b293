# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF service in this process, with a test's record, deadlines and limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from capf.phone_session.dialogue import Patience
from capf.phone_session.listener import Limits, Listener
from capf.process.session_record import RegistryBackend
from support.node import free_ports
from support.record import Record

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and its port."""

    listener: Listener
    backend: RegistryBackend
    port: int

    async def until_empty(self) -> None:
        """Wait until every session has ended; TimeoutError if one keeps its slot."""
        async with asyncio.timeout(_SECONDS):
            while self.listener.sessions:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(
    record: Record, key: rsa.RSAPrivateKey, directory: Path, limits: Limits, patience: Patience
) -> AsyncIterator[Service]:
    """Run the service."""
    pem = directory / "capf.pem"
    certificate = record.context.authority.certificate.public_bytes(Encoding.PEM)
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    backend = RegistryBackend(record.store, record.context)
    listener = Listener(backend, tls, limits, patience)
    (port,) = free_ports(1)
    await listener.start(["127.0.0.1"], port)
    try:
        yield Service(listener, backend, port)
    finally:
        await listener.stop(0)
