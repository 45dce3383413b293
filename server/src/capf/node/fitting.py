# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node's keys, certificates and database belong together: one answer for backups, restores and starts (R20).

Each function returns the problems, one line each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from sqlalchemy import Connection

from capf.certificates import keystore
from capf.certificates.keystore import Keystore
from capf.model import CapfError, counted, words_of
from capf.node.state import StateDirectory, check_administration, strings_box
from capf.registry import file_signer, strings_key, tokens
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import rows

_FAULTS = (CapfError, OSError, ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


def faults(directory: Path, connection: Connection) -> list[str]:
    """Return the problems of a state directory and its database."""
    found = faults_of_keys(directory)
    return found or faults_of_secrets(directory, connection)


def faults_of_keys(directory: Path) -> list[str]:
    """Return keys that are unusable or do not match their certificates: CAPF's, the next one's, administration's."""
    keys, state = Keystore(directory), StateDirectory(directory)
    checks: list[tuple[str, Callable[[], object]]] = [
        ("capf.key", keys.issuing),
        ("capf.next", keys.next),
        *((path.name, partial(keystore.certificates, path)) for path in _trusted(directory)),
        ("administration.key", lambda: check_administration(state)),
        ("strings.key", lambda: strings_box(state)),
    ]
    return [line for name, check in checks for line in _faults(directory, name, check)]


def faults_of_secrets(directory: Path, connection: Connection) -> list[str]:
    """Return what ``strings.key`` cannot decrypt: authentication strings in the database, keys of security tokens
    and of the signer of phones' files."""
    context = _context(directory)
    checks: list[tuple[str, Callable[[], object]]] = [
        ("strings.key", partial(_check_strings, Transaction(connection, context))),
        *(("tokens", partial(_check_token, context, token)) for token in tokens.current(connection)),
        ("tokens", partial(file_signer.check, Transaction(connection, context))),
    ]
    return [line for name, check in checks for line in _faults(directory, name, check)]


def _context(directory: Path) -> Context:
    state = StateDirectory(directory)
    return Context(Keystore(directory).authority(), strings_box(state), time.time, True, state.trace, state.tokens)


def _trusted(directory: Path) -> list[Path]:
    return [path for folder in ("trusted", "manufacturing") for path in sorted((directory / folder).glob("*.pem"))]


def _faults(directory: Path, name: str, check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except _FAULTS as error:
        own = isinstance(error, CapfError | OSError)
        said = (words_of(error) if own else "it cannot be used").replace(f"{directory}/", "")
        yield said if name in said else f"{name}: {said}"


def _check_strings(tx: Transaction) -> None:
    """Raise CapfError if authentication strings in the database were encrypted with a different key."""
    wrong, count = "", 0
    for name, sealed in rows.stored_strings(tx.connection):
        if tx.context.secrets.read(sealed, name) is None:
            wrong, count = wrong or name, count + 1
    if count:
        raise CapfError(
            f"strings.key does not decrypt the authentication strings of {counted(count, 'operation')},"
            f" that of {wrong} first"
        )
    if not strings_key.fits(tx.connection, tx.context.secrets):
        raise CapfError("strings.key is not the key that the database was written with")


def _check_token(context: Context, token: tokens.Token) -> None:
    if tokens.load_key(context, token).public_key() != token.certificate.public_key():
        raise CapfError(f"the key of security token {token.slot} is not the key of its certificate")
