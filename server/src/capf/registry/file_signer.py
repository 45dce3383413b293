# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key that signs phones' files, and which CTL file lets phones accept its signatures (P62).

Phones whose CTL file has a certificate with the role TFTP accept only files that such a certificate signed. The server
makes a key for that, and lists its certificate in each CTL file that names a TFTP server. The certificate is in the
table of settings; its key is kept with those of the security tokens.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from capf.certificates import ctl
from capf.certificates.ctl import CtlError, Role
from capf.certificates.keystore import fingerprint, pem
from capf.certificates.signatures import FoundKey, SigningKey
from capf.model import ConflictError, Fault
from capf.registry import token_keys
from capf.registry.context import Context
from capf.registry.token_keys import UnreadableKeyError
from capf.registry.transaction import Transaction
from capf.store import named_values, node_rows

TFTP_ROLES = (Role.CCM_TFTP, Role.TFTP)
_NAME = "file signer"
_TITLE = "the signer of phones' files"
_LONGEST_COMMON_NAME = 64


def certificate(connection: Connection) -> x509.Certificate | None:
    """Return the signer's certificate, None if there is none yet or it cannot be read."""
    stored = named_values.get(connection, _NAME)
    return None if stored is None else _read(stored)


def _read(stored: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(stored.encode())
    except ValueError:
        return None


def make_missing(tx: Transaction) -> None:
    """Make the signer if there is none; done at every start of a first node."""
    if named_values.get(tx.connection, _NAME) is None:
        _make(tx)


def make_usable(tx: Transaction) -> None:
    """Make a new signer if the certificate or the file of the present one cannot be read."""
    if not _is_unusable(tx):
        return
    new = _make(tx)
    tx.audit("change file signer", sha256=fingerprint(new))


def _is_unusable(tx: Transaction) -> bool:
    held = certificate(tx.connection)
    if held is None:
        return True
    try:
        token_keys.text(tx.context, held, _TITLE)
    except UnreadableKeyError:
        return True
    except ConflictError:
        return False  # another server of this database may have the key
    return False


def _make(tx: Transaction) -> x509.Certificate:
    new, key = token_keys.make(tx.context, _subject(tx.context))
    token_keys.store(tx.context, new, key)
    named_values.put(tx.connection, _NAME, pem(new).decode())
    return new


def _subject(context: Context) -> x509.Name:
    """Return the subject: softphones take the common name for the host of the files."""
    attributes = {
        NameOID.ORGANIZATION_NAME: "ucm.capf",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "TFTP",
        NameOID.COMMON_NAME: context.node_name[:_LONGEST_COMMON_NAME],
    }
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes.items()])


def faults(tx: Transaction) -> list[Fault]:
    """Return why this server cannot sign phones' files, if its CTL file makes phones expect that."""
    stored = named_values.get(tx.connection, _NAME)
    if stored is None or not tx.context.first_node:
        return []
    again = "make the CTL file again with ucm.capf.ctl_file"
    held = _read(stored)
    if held is None:
        return [Fault("table settings, file signer", "the certificate cannot be read", again)]
    try:
        token_keys.text(tx.context, held, _TITLE)
    except UnreadableKeyError as error:
        return [Fault(str(token_keys.path(tx.context, held)), str(error), again)]
    except ConflictError as error:
        todo = "restore the file from a backup, or run `capf keys take` with the keys of the server that has it"
        return [Fault(str(token_keys.path(tx.context, held)), str(error), todo)]
    return []


def check(tx: Transaction) -> None:
    """Raise ConflictError if there is a signer whose key is not here or cannot be read."""
    held = certificate(tx.connection)
    if held is not None:
        token_keys.text(tx.context, held, _TITLE)


def current(tx: Transaction) -> SigningKey | None:
    """Return the key that signs phones' files now, with the digest of the CTL file.

    None on a subscriber, before the first CTL file, if the CTL file does not list the signer with a role for TFTP, or
    if this server does not have its key. Reading a key takes long, so it is kept until either changes.
    """
    row = node_rows.last_ctl_file(tx.connection) if tx.context.first_node else None
    stored = named_values.get(tx.connection, _NAME)
    if row is None or stored is None:
        return None
    found = tx.context.file_signer
    if found is None or found.source != (row.data, stored):
        found = FoundKey((row.data, stored), _listed(tx.context, row.data, _read(stored)))
        tx.context.file_signer = found
    return found.key


def _listed(context: Context, ctl_file: bytes, signer: x509.Certificate | None) -> SigningKey | None:
    try:
        file = ctl.read(ctl_file)
        if signer is None or not any(signer in file.certificates(role) for role in TFTP_ROLES):
            return None
        key = token_keys.load(context, signer, _TITLE)
    except (CtlError, ConflictError):  # both are among the faults of the record
        return None
    return SigningKey(signer, key, file.digest, context.signatures)
