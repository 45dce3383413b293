# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two System Administrator Security Tokens (SAST) that sign the CTL file (R3, R24).

A token is made by the server or supplied by the administrator. Its certificate is in the database; its key is a file of
mode 0600 in ``tokens/`` of the state directory, encrypted with the key of the authentication strings. A supplied key's
passphrase is used once and not stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf.certificates.authority import new_serial
from capf.certificates.keystore import SECRET, fingerprint, key_pem, write_whole
from capf.certificates.secretbox import UnreadableError
from capf.certificates.signatures import MODULUS_BITS
from capf.model import ConflictError, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import node_rows

SLOTS = (1, 2)
_BITS = 2048
_YEARS = 20
TWO_STEPS = (
    "the two security tokens cannot be changed at the same time: a phone accepts a CTL file only if it is signed by a "
    "token that the phone's current file lists. Change one token, make the CTL file and let every phone fetch it; then "
    "change the other one"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its slot; ``made_here`` if the server made it."""

    slot: int
    certificate: x509.Certificate
    made_here: bool


@dataclass(frozen=True, slots=True)
class Supplied:
    """What the administrator wants in a slot: PEM texts, or neither of them for a token that the server makes."""

    slot: int
    certificate: str | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


def current(connection: Connection) -> list[Token]:
    """Return the tokens by slot; DamagedError if one cannot be read."""
    found, damaged = _read(connection)
    if damaged:
        raise DamagedError(damaged[0])
    return found


def readable(connection: Connection) -> list[Token]:
    """Return the readable tokens."""
    return _read(connection)[0]


def _read(connection: Connection) -> tuple[list[Token], list[Fault]]:
    """Return the tokens, and the faults of those that cannot be read."""
    found, damaged = [], []
    for row in node_rows.tokens(connection):
        try:
            certificate = x509.load_der_x509_certificate(row.certificate)
        except ValueError:
            where = f"table security_tokens, slot {row.slot}"
            todo = "make the token again with the tokens of ucm.capf.ctl_file, or restore a backup"
            damaged.append(Fault(where, "its certificate cannot be read", todo))
            continue
        found.append(Token(row.slot, certificate, row.made_here))
    return found, damaged


def faults(tx: Transaction) -> list[Fault]:
    """Return the faults of the tokens' certificates and of their keys on this server."""
    found, damaged = _read(tx.connection)
    for token in found if tx.context.first_node else ():
        try:
            _key_text(tx.context, token)
        except ConflictError as error:
            todo = "restore the file and strings.key from a backup, or change the token with ucm.capf.ctl_file"
            damaged.append(Fault(str(_key_file(tx.context, token.certificate)), str(error), todo))
    return damaged


def make_missing(tx: Transaction) -> None:
    """Make the tokens of the slots that have none; done at the first start."""
    held = {row.slot for row in node_rows.tokens(tx.connection)}
    for slot in SLOTS:
        if slot not in held:
            _put(tx, slot, *_make(tx.context), made_here=True)


def _make(context: Context) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(65537, _BITS)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ucm.capf"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"SAST-{os.urandom(4).hex()}"),
        ]
    )
    start = datetime.fromtimestamp(context.now, UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(new_serial(os.urandom))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _put(tx: Transaction, slot: int, certificate: x509.Certificate, key: rsa.RSAPrivateKey, *, made_here: bool) -> None:
    path = _key_file(tx.context, certificate)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sealed = tx.context.secrets.encrypt(key_pem(key).decode(), fingerprint(certificate))
    write_whole(path, sealed, SECRET)
    der = certificate.public_bytes(serialization.Encoding.DER)
    node_rows.put_token(tx.connection, slot, der, made_here=made_here)


def _key_file(context: Context, certificate: x509.Certificate) -> Path:
    return context.token_directory / f"{fingerprint(certificate)}.key"


def load_key(context: Context, token: Token) -> rsa.RSAPrivateKey:
    """Return a token's key; ConflictError if this server does not have it."""
    try:
        key = serialization.load_pem_private_key(_key_text(context, token).encode(), None)
    except (ValueError, TypeError):
        raise ConflictError(f"the key of security token {token.slot} cannot be read: it is not in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConflictError(f"the key of security token {token.slot} is not RSA")
    return key


def _key_text(context: Context, token: Token) -> str:
    path = _key_file(context, token.certificate)
    try:
        return context.secrets.decrypt(path.read_bytes(), fingerprint(token.certificate))
    except FileNotFoundError:
        raise ConflictError(f"the key of security token {token.slot} is not on this server ({path})") from None
    except OSError as error:
        raise ConflictError(f"the key of security token {token.slot} cannot be read: {error.strerror}") from None
    except UnreadableError:
        raise ConflictError(
            f"the key of security token {token.slot} cannot be read: {path} was changed, or strings.key was"
        ) from None


def change(tx: Transaction, wanted: Sequence[Supplied], listed: Sequence[x509.Certificate] | None) -> None:
    """Put tokens into their slots; an identical one is left alone.

    ``listed``: the tokens of the last CTL file, None before the first. InvalidRequestError lists every wrong field;
    ConflictError if no token of the previous CTL file would remain.
    """
    held = {token.slot: token for token in readable(tx.connection)}
    new = _checked(wanted, held)
    after = {slot: token.certificate for slot, token in held.items()} | {
        slot: None if pair is None else pair[0] for slot, pair in new.items()
    }
    if new and listed is not None and not any(certificate in listed for certificate in after.values()):
        raise ConflictError(TWO_STEPS)
    for slot, pair in new.items():
        certificate, key = pair or _make(tx.context)
        _put(tx, slot, certificate, key, made_here=pair is None)
        detail = {"slot": slot, "subject": certificate.subject.rfc4514_string(), "sha256": fingerprint(certificate)}
        tx.audit("change security token", **detail)


Pair = tuple[x509.Certificate, rsa.RSAPrivateKey]


def _checked(wanted: Sequence[Supplied], held: Mapping[int, Token]) -> dict[int, Pair | None]:
    """Return what has to change, by slot: certificate and key, or None for a token that the server makes."""
    problems: list[Problem] = []
    new: dict[int, Pair | None] = {}
    taken = {token.certificate: slot for slot, token in held.items()}
    for index, item in enumerate(wanted):
        where = f"tokens[{index}]."
        if item.slot not in SLOTS:
            problems.append(not_allowed(f"{where}slot", str(item.slot), SLOTS))
            continue
        if item.slot in new:
            message = f"slot {item.slot} is given twice; give each slot once"
            problems.append(Problem(f"{where}slot", str(item.slot), message))
            continue
        token = held.get(item.slot)
        if item.certificate is None and item.private_key is None:
            if token is None or not token.made_here:
                new[item.slot] = None
            continue
        pair = _pair(where, item, problems)
        if pair is not None and (token is None or token.certificate != pair[0]):
            new[item.slot] = pair
            if taken.setdefault(pair[0], item.slot) != item.slot:
                message = "this is the token of the other slot; give each slot a different token"
                problems.append(Problem(f"{where}certificate", "(certificate)", message))
    if problems:
        raise InvalidRequestError(problems)
    return new


def _pair(where: str, item: Supplied, problems: list[Problem]) -> Pair | None:
    """Return the certificate and its key, or their problem."""
    try:
        certificate = x509.load_pem_x509_certificate((item.certificate or "").encode())
    except ValueError:
        # Somebody may have given the key here by mistake: the value is not shown.
        problems.append(Problem(f"{where}certificate", "(certificate)", "this is not a certificate in PEM; give one"))
        return None
    passphrase = None if item.passphrase is None else item.passphrase.encode()
    try:
        key = serialization.load_pem_private_key((item.private_key or "").encode(), passphrase)
    except (ValueError, TypeError):
        message = (
            "this is not a private key in PEM that the passphrase opens;"
            " give the key with its passphrase, or without one if it is not encrypted"
        )
        problems.append(Problem(f"{where}private_key", "(hidden)", message))
        return None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in MODULUS_BITS:
        sizes = " or ".join(map(str, MODULUS_BITS))
        message = f"the key is of another kind or size; give an RSA key of {sizes} bits"
        problems.append(Problem(f"{where}private_key", "(hidden)", message))
        return None
    if certificate.public_key() != key.public_key():
        message = "the key does not belong to the certificate; give the certificate's own key"
        problems.append(Problem(f"{where}private_key", "(hidden)", message))
        return None
    return certificate, key


def sweep(tx: Transaction) -> None:
    """Remove the key files of former tokens, unless the current tokens cannot be read."""
    kept = {_key_file(tx.context, token.certificate) for token in current(tx.connection)}
    for path in tx.context.token_directory.glob("*.key"):
        if path not in kept:
            path.unlink()
