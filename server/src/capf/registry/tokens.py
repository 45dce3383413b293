# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two System Administrator Security Tokens (SAST) that sign the CTL file (R3, R24).

A token is made by the server or supplied by the administrator. Its certificate is in the database, its key in the state
directory (``token_keys``). A supplied key's passphrase is used once and not stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf.certificates.keystore import fingerprint
from capf.certificates.signatures import MODULUS_BITS
from capf.model import ConflictError, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.registry import token_keys
from capf.registry.context import Context
from capf.registry.token_keys import Pair
from capf.registry.transaction import Transaction
from capf.store import node_rows

SLOTS = (1, 2)
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

    @property
    def title(self) -> str:
        """The token's name in messages."""
        return f"security token {self.slot}"


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
            token_keys.text(tx.context, token.certificate, token.title)
        except ConflictError as error:
            todo = "restore the file and strings.key from a backup, or change the token with ucm.capf.ctl_file"
            damaged.append(Fault(str(token_keys.path(tx.context, token.certificate)), str(error), todo))
    return damaged


def make_missing(tx: Transaction) -> None:
    """Make the tokens of the slots that have none; done at the first start."""
    held = {row.slot for row in node_rows.tokens(tx.connection)}
    for slot in SLOTS:
        if slot not in held:
            _put(tx, slot, *_make(tx.context), made_here=True)


def _make(context: Context) -> Pair:
    name = {NameOID.ORGANIZATION_NAME: "ucm.capf", NameOID.COMMON_NAME: f"SAST-{os.urandom(4).hex()}"}
    return token_keys.make(context, x509.Name([x509.NameAttribute(oid, value) for oid, value in name.items()]))


def _put(tx: Transaction, slot: int, certificate: x509.Certificate, key: rsa.RSAPrivateKey, *, made_here: bool) -> None:
    token_keys.store(tx.context, certificate, key)
    der = certificate.public_bytes(serialization.Encoding.DER)
    node_rows.put_token(tx.connection, slot, der, made_here=made_here)


def load_key(context: Context, token: Token) -> rsa.RSAPrivateKey:
    """Return a token's key; ConflictError if this server does not have it."""
    return token_keys.load(context, token.certificate, token.title)


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
