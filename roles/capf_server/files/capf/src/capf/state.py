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
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf import accounts, authority, keystore, sharing
from capf.authority import Authority
from capf.keystore import KeyPair, Keystore, write_whole
from capf.model import ConflictError, InvalidRequestError, Problem
from capf.secretbox import KEY_BYTES, SecretBox
from capf.store import journal
from capf.store.engine import Store

_ADMINISTRATION_YEARS = 10
_MINIMUM_PASSWORD = 8
# Who logs in sends name, colon and password, in ASCII (RFC 7617).
_ADMINISTRATOR = re.compile("[ -9;-~]{1,200}")
_COMMON_NAME, _DNS_NAME = 64, 253  # characters that a certificate has room for
ADMINISTRATOR, PASSWORD = "administrator", "password"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Where everything lies."""

    path: Path

    @property
    def capf_key(self) -> Path:
        """The CAPF private key with its certificate."""
        return self.path / "capf.key"

    @property
    def strings_key(self) -> Path:
        """The key of the authentication strings at rest."""
        return self.path / "strings.key"

    @property
    def administration_key(self) -> Path:
        """The key of the administration API's TLS."""
        return self.path / "administration.key"

    @property
    def administration_certificate(self) -> Path:
        """The certificate of the administration API's TLS, PEM."""
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
        """The files that a further node was given for phones."""
        return self.path / "files"

    def lock(self) -> IO[str]:
        """Return the lock that only one server can hold; ConflictError when another one runs."""
        handle = (self.path / "lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ConflictError(f"another capf server runs on {self.path}") from None
        return handle


@dataclass(frozen=True, slots=True)
class NewNode:
    """What ``capf init`` is told: where the state goes, whom to trust, and the node's ``names`` in the certificate of
    its administration API. A server ``like`` another one takes its files (``sharing.files``), so that it has the same
    keys and trusts the same certificates, and both can share a ``database`` (its URL; None for one of its own)."""

    directory: Path
    administrator: str
    password: str
    names: Sequence[str]
    manufacturing: Sequence[Path] = ()
    database: str | None = None
    like: Mapping[str, bytes] | None = None


def initialise(node: NewNode, now: float) -> str:
    """Make the state directory of a new node; returns the CAPF certificate's common name.

    ConflictError when it exists already, or when the database has another administrator's account.
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
    _make_account(node.database or f"sqlite:///{directory}/capf.db", node.administrator, password, now)
    _make_administration(state, node.names, now)
    if node.like is None:
        write_whole(state.strings_key, secrets.token_bytes(KEY_BYTES), 0o600)
        keys.issue_with(KeyPair(*authority.make_capf_certificate(os.urandom, now, "ucm.capf", "CAPF")))
    else:
        sharing.take(directory, node.like)
        keys.publish()
    keys.manufacturing.add(issuers)
    return authority.common_name(keys.issuing().certificate)


def _check(node: NewNode) -> None:
    """InvalidRequestError before anything is made."""
    problems = [
        Problem("name", name, f"a host name or an IP address, in ASCII, of at most {longest} characters")
        for name, longest in zip(node.names, (_COMMON_NAME, *[_DNS_NAME] * len(node.names)), strict=False)
        if not (0 < len(name) <= longest and name.isascii() and name.isprintable())
    ]
    if not _ADMINISTRATOR.fullmatch(node.administrator):
        allowed = "1 to 200 printable ASCII characters without a colon"
        problems.append(Problem("administrator", node.administrator, allowed))
    if len(node.password) < _MINIMUM_PASSWORD or not node.password.isascii() or not node.password.isprintable():
        allowed = f"at least {_MINIMUM_PASSWORD} characters, printable and ASCII"
        problems.append(Problem("password", "(hidden)", allowed))
    if problems:
        raise InvalidRequestError(problems)
    if node.like is not None:
        sharing.check(node.like)


def _make_account(database: str, administrator: str, password: str, now: float) -> None:
    """Make the administrator's account, or find the same one in a database that is shared."""
    store = Store(database)
    try:
        known = store.read(journal.all_settings)
        if PASSWORD in known:
            same = known[ADMINISTRATOR] == administrator and accounts.password_is_right(password, known[PASSWORD])
            if not same:
                raise ConflictError("the database has another administrator's account")
            return
        kept = accounts.hash_password(password)

        def job(connection: Connection) -> None:
            journal.put_setting(connection, ADMINISTRATOR, administrator)
            journal.put_setting(connection, PASSWORD, kept)
            journal.record(connection, int(now), "capf init", [journal.Act("make account")])

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


def load_authority(state: StateDirectory) -> Authority:
    """Return the signer; CapfError when a key is missing or others may read it."""
    for path in (state.strings_key, state.administration_key):
        keystore.check_mode(path)
    keys = Keystore(state.path)
    keys.publish()
    return keys.authority()


def load_secrets(state: StateDirectory) -> SecretBox:
    """Return the cipher of the authentication strings."""
    return SecretBox(state.strings_key.read_bytes())


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
