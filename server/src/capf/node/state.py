# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state directory: keys, certificates, the administrator's account and the database (R3)."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf.certificates import authority, keystore, passwords
from capf.certificates.authority import Authority, MissingAuthority
from capf.certificates.keystore import KeyPair, Keystore, write_whole
from capf.certificates.secretbox import KEY_BYTES, MissingSecretBox, SecretBox
from capf.cluster import sharing
from capf.model import CapfError, ConflictError, Fault, InvalidRequestError, Problem, not_allowed
from capf.registry import account, strings_key
from capf.store import named_values
from capf.store.engine import Store

_ADMINISTRATION_YEARS = 10
_MINIMUM_PASSWORD = 8
# A login sends name, colon and password in ASCII (RFC 7617).
_ADMINISTRATOR = re.compile("[ -9;-~]{1,200}")
_COMMON_NAME, _DNS_NAME = 64, 253  # the maximum length in a certificate


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The paths of the files in a state directory."""

    path: Path

    @property
    def capf_key(self) -> Path:
        """The CAPF private key with its certificate."""
        return self.path / "capf.key"

    @property
    def strings_key(self) -> Path:
        """The key that encrypts authentication strings at rest."""
        return self.path / "strings.key"

    @property
    def administration_key(self) -> Path:
        """The TLS key of the administration API."""
        return self.path / "administration.key"

    @property
    def administration_certificate(self) -> Path:
        """The TLS certificate of the administration API, PEM."""
        return self.path / "administration.crt"

    @property
    def trace(self) -> Path:
        """The trace files, those of Troubleshoot among them."""
        return self.path / "trace"

    @property
    def tokens(self) -> Path:
        """The keys of the security tokens, encrypted."""
        return self.path / "tokens"

    @property
    def files(self) -> Path:
        """The files for phones that were published to a subscriber."""
        return self.path / "files"

    def lock(self) -> IO[str]:
        """Return the lock that only one server can hold; ConflictError if another one is running."""
        try:
            handle = (self.path / "lock").open("w")
        except OSError as error:
            raise CapfError(f"the state directory {self.path} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ConflictError(f"another capf server runs on {self.path}") from None
        return handle


@dataclass(frozen=True, slots=True)
class NewNode:
    """The arguments of ``capf init``.

    ``names`` are those of the node in the certificate of its administration API. A server ``like`` another one gets its
    files (``sharing.files``), so that it has the same keys and trusts the same certificates, and both can share a
    ``database`` (its URL; None for a database of its own).
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

    ConflictError if it already exists, or if the database has a different administrator account.
    """
    directory, password = node.directory, node.password
    state = StateDirectory(directory)
    if state.capf_key.exists():
        raise ConflictError(f"{directory} already holds a CAPF server's state")
    _check(node)
    issuers = [certificate for path in node.manufacturing for certificate in keystore.certificates(path)]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("manufacturing", "trusted"):
        (directory / name).mkdir(exist_ok=True)
    keys = Keystore(directory)
    key = secrets.token_bytes(KEY_BYTES) if node.like is None else node.like[state.strings_key.name]
    database = node.database or f"sqlite:///{directory}/capf.db"
    _prepare_database(database, node.administrator, password, SecretBox(key), now)
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
    problems += _account_problems(node.administrator, node.password)
    if problems:
        raise InvalidRequestError(problems)
    if node.like is not None:
        sharing.check(node.like)


def _account_problems(administrator: str, password: str) -> list[Problem]:
    problems = []
    if not _ADMINISTRATOR.fullmatch(administrator):
        allowed = "1 to 200 printable ASCII characters without a colon"
        problems.append(not_allowed("administrator", administrator, allowed))
    if len(password) < _MINIMUM_PASSWORD or not password.isascii() or not password.isprintable():
        message = f"the password does not fit; give at least {_MINIMUM_PASSWORD} characters, printable and ASCII"
        problems.append(Problem("password", "(hidden)", message))
    return problems


def _prepare_database(database: str, administrator: str, password: str, box: SecretBox, now: float) -> None:
    """Create the administrator's account, or check that a shared database has the same one.

    Also record the value that identifies the key of the authentication strings.
    """

    def job(connection: Connection) -> None:
        if account.PASSWORD in named_values.every(connection):
            name, kept = account.stored(connection)
            if name != administrator or not passwords.password_is_right(password, kept):
                raise ConflictError("the database has a different administrator account")
        else:
            account.put(connection, administrator, password, now, "capf init")
        if not strings_key.is_known(connection):
            strings_key.keep_check(connection, box)

    store = Store(database)
    try:
        store.write(job)
    finally:
        store.close()


def set_account(database: str, administrator: str, password: str, now: float) -> None:
    """Set the administrator's name and password; InvalidRequestError if they are not allowed."""
    if problems := _account_problems(administrator, password):
        raise InvalidRequestError(problems)
    store = Store(database)
    try:
        store.write(lambda connection: account.put(connection, administrator, password, now, "capf account"))
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


@dataclass(frozen=True, slots=True)
class Loaded:
    """The keys of a state directory, with placeholders for unusable ones, and the faults of its files."""

    authority: Authority
    secrets: SecretBox
    faults: list[Fault]


def load(state: StateDirectory) -> Loaded:
    """Do what ``load_unchanged`` does, and write the CAPF certificate under each of its names."""
    loaded = load_unchanged(state)
    if loaded.authority.usable:
        try:
            Keystore(state.path).publish()
        except OSError as error:
            problem = f"the CAPF certificate cannot be written there: {error.strerror}"
            loaded.faults.append(Fault(str(state.path), problem, "let the server write there, and restart it"))
    return loaded


def load_unchanged(state: StateDirectory) -> Loaded:
    """Return the keys; a problem with them is a fault, because administration runs without them."""
    keys, secrets = Keystore(state.path), load_secrets(state)
    faults = keys.faults()
    if isinstance(secrets, MissingSecretBox):
        faults.append(secrets.fault)
    unusable = next((fault for fault in faults if fault.where == str(keys.issuing_file)), None)
    return Loaded(keys.authority() if unusable is None else MissingAuthority(unusable), secrets, faults)


def load_secrets(state: StateDirectory) -> SecretBox:
    """Return the cipher of the authentication strings, or its placeholder."""
    try:
        return strings_box(state)
    except CapfError as error:
        return MissingSecretBox(Fault(str(state.strings_key), str(error), keystore.RESTORE, stops_capf=True))


def strings_box(state: StateDirectory) -> SecretBox:
    """Return the cipher of the authentication strings; CapfError if its key is unusable."""
    keystore.check_mode(state.strings_key)
    try:
        key = state.strings_key.read_bytes()
    except OSError as error:
        raise CapfError(f"it cannot be read: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise CapfError(f"it has {len(key)} bytes; a key has {KEY_BYTES}")
    return SecretBox(key)


def check_administration(state: StateDirectory) -> None:
    """Raise CapfError if the key or certificate of the administration API is unusable: nothing runs without them."""
    keystore.check_mode(state.administration_key)
    certificates = keystore.certificates(state.administration_certificate)
    try:
        key = serialization.load_pem_private_key(state.administration_key.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise CapfError(f"{state.administration_key} is not a private key in PEM; {keystore.RESTORE}") from None
    if not certificates or certificates[0].public_key() != key.public_key():
        raise CapfError(f"administration.key is not the key of administration.crt in {state.path}; {keystore.RESTORE}")


def capf_tls(state: StateDirectory, *, allow_tls_1_0: bool) -> ssl.SSLContext:
    """Return the TLS settings of the CAPF port: TLS 1.2 and later, or 1.0 for old phones by explicit setting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if allow_tls_1_0:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.load_cert_chain(state.capf_key)
    return context
