# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that phones fetch: CTL file, CAPF certificate, configuration (docs/phone-files.md)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

from capf.certificates import authority, ctl
from capf.model import AuthenticationMode, InvalidRequestError, Problem, SecurityMode
from capf.phone_files.cnf_xml import MAXIMUM_BYTES, ConfigurationError, PhoneSettings, edit, make
from capf.phone_files.folder import CONFIGURATION_SUFFIX, DEFAULT_CONFIGURATION, Folder
from capf.registry import lifecycle, trace
from capf.registry.context import Context
from capf.registry.parameters import InForce
from capf.registry.phones import not_registered
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rows
from capf.store.schema import OperationRow, PhoneRow

LOG = logging.getLogger(__name__)
_SECURITY_MODES = {SecurityMode.NON_SECURE: 1, SecurityMode.AUTHENTICATED: 2, SecurityMode.ENCRYPTED: 3}
_AUTHENTICATION_MODES = {
    AuthenticationMode.STRING: 1,
    AuthenticationMode.NULL_STRING: 2,
    AuthenticationMode.LSC_FIRST: 3,
    AuthenticationMode.MIC_FIRST: 4,
}


def configuration(tx: Transaction, device_name: str, node_name: str) -> bytes | None:
    """Return a phone's configuration file, None if the phone is not registered with the server.

    ConfigurationError if the administrator's own file for the phone cannot be edited.
    """
    for made in configurations(tx, [device_name], node_name).values():
        if isinstance(made, ConfigurationError):
            raise made
        return made
    return None


def configurations(tx: Transaction, names: Sequence[str], node_name: str) -> dict[str, bytes | ConfigurationError]:
    """Return the configuration files of the registered phones among ``names``, or why a file cannot be made."""
    known, operations = rows.phones_of(tx.connection, names), rows.operations_of(tx.connection, names)
    certificates = certificate_rows.active(tx.connection, names)
    in_force = tx.in_force
    made: dict[str, bytes | ConfigurationError] = {}
    for name in names:
        if name not in known:
            continue
        held = certificates[name].der if name in certificates else trace.mic(tx.context.trace_directory, name)
        digest = "" if held is None else hashlib.md5(held, usedforsecurity=False).hexdigest()
        try:
            own = _own_file(tx.context, name)
            settings = _settings(tx.context, in_force, known[name], operations.get(name), node_name)
            wanted = replace(settings, certificate_hash=digest)
            made[name] = make(wanted) if own is None else edit(own, wanted)
        except ConfigurationError as error:
            LOG.warning("device=%s event=own-file-refused error=%r", name, str(error))
            made[name] = error
        except ValueError as error:
            LOG.error("device=%s event=damaged-row error=%r", name, str(error))
            made[name] = ConfigurationError("the phone's row in the database cannot be read")
    return made


def _settings(
    context: Context, in_force: InForce, phone: PhoneRow, operation: OperationRow | None, node_name: str
) -> PhoneSettings:
    """Return the settings for a phone; ``capfAuthMode`` is 0 unless it has a pending operation."""
    mode = 0
    if operation is not None and lifecycle.is_open(operation):
        mode = _AUTHENTICATION_MODES[AuthenticationMode(operation.authentication_mode)]
    port = in_force.number("CAPF Phone Port")
    return PhoneSettings(
        device_security_mode=_SECURITY_MODES[SecurityMode(phone.device_security_mode)],
        authentication_mode=mode,
        servers=tuple((name, port) for name in context.capf_servers or (node_name,)),
        certificate_hash="",
        ip_address_mode=2 if in_force.flag("Enable IPv6") else 0,
        encrypted=in_force.flag("TFTP Encrypted Config"),
    )


def _own_file(context: Context, device_name: str) -> bytes | None:
    if context.own_files is None:
        return None
    try:
        with (context.own_files / f"{device_name}{CONFIGURATION_SUFFIX}").open("rb") as handle:
            return handle.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror}") from error


def default_configuration(context: Context) -> bytes | None:
    """Return the administrator's configuration for phones that are not registered, unchanged; None without one."""
    try:
        found = _own_file(context, DEFAULT_CONFIGURATION.removesuffix(CONFIGURATION_SUFFIX))
    except ConfigurationError as error:
        LOG.warning("file=%s event=own-file-refused error=%r", DEFAULT_CONFIGURATION, str(error))
        return None
    return None if found is None or len(found) > MAXIMUM_BYTES else found


def shared_files(context: Context, folder: Folder) -> dict[str, bytes]:
    """Return the files that all phones share: CTL file, default configuration, usable CAPF certificate (two names)."""
    certificates = authority.file_names(context.authority.certificate) if context.authority.usable else ()
    names = (ctl.FILE_NAME, *certificates)
    found = {name: folder.read(name) for name in names} | {DEFAULT_CONFIGURATION: default_configuration(context)}
    return {name: data for name, data in found.items() if data is not None}


def published_files(tx: Transaction, folder: Folder, phones: Sequence[str] | None) -> dict[str, bytes]:
    """Return the files that subscribers serve: the shared ones and those of ``phones`` (None: of all).

    InvalidRequestError lists phones that are not registered or whose own file cannot be edited.
    """
    names = rows.phone_names(tx.connection) if phones is None else phones
    made = configurations(tx, names, tx.context.node_name)
    found, problems = shared_files(tx.context, folder), list[Problem]()
    for name in names:
        data = made.get(name)
        if isinstance(data, bytes):
            found[f"{name}{CONFIGURATION_SUFFIX}"] = data
            continue
        unusable = f"the administrator's own file of {name} cannot be used: {data}; correct or remove it"
        problems.append(not_registered("phones", name) if data is None else Problem("phones", name, unusable))
    if problems:
        raise InvalidRequestError(problems)
    return found
