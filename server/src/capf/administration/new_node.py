# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf init``: the state directory of a new node, with its keys, certificates, account and database (R3)."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf.administration import shared_keys
from capf.certificates import authority, keystore
from capf.certificates.keystore import KeyPair, Keystore, write_whole
from capf.certificates.secretbox import KEY_BYTES, SecretBox
from capf.cluster import sharing
from capf.model import ConflictError, InvalidRequestError, not_allowed
from capf.node import belonging
from capf.node.state import StateDirectory
from capf.registry import account, strings_key
from capf.store.engine import Store

_ADMINISTRATION_YEARS = 10
_COMMON_NAME, _DNS_NAME = 64, 253  # the maximum length in a certificate


@dataclass(frozen=True, slots=True)
class NewNode:
    """The arguments of ``capf init``.

    ``names`` are those of the node in the certificate of its administration API. A server ``like`` another one gets its
    files (``sharing.files``), so that it has the same keys and trusts the same certificates, and both can share a
    ``database`` (its URL; None for a separate database).
    """

    directory: Path
    administrator: str
    password: str
    names: Sequence[str]
    manufacturing: Sequence[Path] = ()
    database: str | None = None
    like: Mapping[str, bytes] | None = None


def initialise(node: NewNode, now: float) -> str:
    """Make the state directory of a new node, and return the CAPF certificate's common name.

    ConflictError if it already exists, or if the database has a different administrator account; CapfError if the keys
    of another server cannot be used.
    """
    directory = node.directory
    state = StateDirectory(directory)
    belonging.refuse_links(directory)
    if node.like is not None:
        shared_keys.check(node.like, directory)
    if state.capf_key.exists():
        raise ConflictError(f"{directory} already contains a CAPF server's state")
    _check(node)
    issuers = [certificate for path in node.manufacturing for certificate in keystore.certificates(path)]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("manufacturing", "trusted"):
        (directory / name).mkdir(exist_ok=True)
    keys = Keystore(directory)
    key = secrets.token_bytes(KEY_BYTES) if node.like is None else node.like[state.strings_key.name]
    database = node.database or f"sqlite:///{directory}/capf.db"
    _prepare_database(database, node.administrator, node.password, SecretBox(key), now)
    _make_administration(state, node.names, now)
    if node.like is None:
        write_whole(state.strings_key, key, 0o600)
        keys.issue_with(KeyPair(*authority.make_capf_certificate(os.urandom, now, "ucm.capf", "CAPF")))
    else:
        sharing.take(directory, node.like)
        keys.publish()
    keys.manufacturing.add(issuers)
    return authority.common_name(keys.issuing().certificate)


def _check(node: NewNode) -> None:
    """Raise InvalidRequestError for arguments that are not allowed, before anything is created."""
    problems = [
        not_allowed("name", name, f"a host name or an IP address, in ASCII, of at most {longest} characters")
        for name, longest in zip(node.names, (_COMMON_NAME, *[_DNS_NAME] * len(node.names)), strict=False)
        if not (0 < len(name) <= longest and name.isascii() and name.isprintable())
    ]
    problems += account.problems(node.administrator, node.password)
    if problems:
        raise InvalidRequestError(problems)


def _prepare_database(database: str, administrator: str, password: str, box: SecretBox, now: float) -> None:
    """Create the administrator's account, or check that a shared database has the same one.

    Also record the value that identifies the key of the authentication strings.
    """

    def job(connection: Connection) -> None:
        account.begin(connection, administrator, password, now, "capf init")
        if not strings_key.is_known(connection):
            strings_key.keep_check(connection, box)

    store = Store(database)
    try:
        store.write(job)
    finally:
        store.close()


def _make_administration(state: StateDirectory, names: Sequence[str], now: float) -> None:
    """Make the self-signed certificate of the administration API."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    start = datetime.fromtimestamp(int(now), UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(authority.new_serial(os.urandom))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * _ADMINISTRATION_YEARS))
        .add_extension(x509.SubjectAlternativeName([_alternative(item) for item in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(state.administration_key, keystore.key_pem(key), 0o600)
    write_whole(state.administration_certificate, keystore.pem(certificate))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
