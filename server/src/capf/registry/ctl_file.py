# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's CTL file: its records, when and why it is outdated, and making a new one (R3, R22, R24)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from capf.certificates import authority, ctl, keystore
from capf.certificates.ctl import CtlError, CtlFile, Record, Role
from capf.certificates.envelope import name_text
from capf.certificates.signatures import DIGEST_NAMES, Digest
from capf.model import ConflictError, DamagedError, Fault, FurtherNodeError, InvalidRequestError, Problem, not_allowed
from capf.registry import file_signer, moment, nodes, service, token_keys, tokens
from capf.registry.transaction import Transaction
from capf.store import node_rows

DIGESTS = {DIGEST_NAMES[digest]: digest for digest in (Digest.SHA1, Digest.SHA512)}
SIGNER_VERSIONS = {"1.0": (1, 0), "1.1": (1, 1)}
_MAKE_AGAIN = "make the CTL file again with ucm.capf.ctl_file, or restore it from a backup"
_NODE_ROLES = (Role.CCM, Role.CCM_TFTP, Role.TFTP)


class Freshness(StrEnum):
    """Whether phones can get an up-to-date CTL file."""

    MISSING = "missing"
    OUTDATED = "outdated"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Options:
    """How to sign the file; None: as the previous one, with the signer version that its keys need."""

    digest: str | None = None
    signer_version: str | None = None


@dataclass(frozen=True, slots=True)
class Last:
    """The latest CTL file."""

    data: bytes
    file: CtlFile
    made_at: int
    activations: int

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class MadeCtlFile:
    """What ``make_current`` did or would do, with one line per record."""

    changed: bool
    reasons: list[str]
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CtlFileStatus:
    """The state of the CTL file; ``reasons`` say why it is outdated."""

    state: Freshness
    reasons: list[str] = field(default_factory=list)
    last: Last | None = None


def last(connection: Connection) -> Last | None:
    """Return the latest CTL file, None before the first; DamagedError if it cannot be read."""
    row = node_rows.last_ctl_file(connection)
    if row is None:
        return None
    try:
        return Last(row.data, ctl.read(row.data), row.made_at, row.activations)
    except (CtlError, ValueError, IndexError) as error:
        why = f": {error}" if isinstance(error, CtlError) else ""
        raise DamagedError(Fault("table ctl_file", f"the CTL file cannot be read{why}", _MAKE_AGAIN)) from None


def _last_or_none(connection: Connection) -> Last | None:
    """Return the latest CTL file, None if it is missing or unreadable."""
    try:
        return last(connection)
    except DamagedError:
        return None


def faults(tx: Transaction) -> list[Fault]:
    """Return the faults of the latest CTL file."""
    try:
        last(tx.connection)
    except DamagedError as error:
        return [error.fault]
    return []


def last_sha256(connection: Connection) -> str:
    """Return the digest of the CTL file that nodes should have, empty before the first."""
    held = _last_or_none(connection)
    return "" if held is None else held.sha256


def status(tx: Transaction) -> CtlFileStatus:
    """Return whether the CTL file is current, with every reason if it is not (R24), or what cannot be read."""
    held = None
    try:
        held = last(tx.connection)
        if held is None:
            return CtlFileStatus(Freshness.MISSING, ["no CTL file was made yet"])
        reasons = _reasons(held.file.records, _wanted(tx, held.file))
    except DamagedError as error:
        return CtlFileStatus(Freshness.OUTDATED, [str(error)], held)
    if service.activations(tx.connection) != held.activations:
        reasons.insert(0, "CAPF was activated after the CTL file was made")
    return CtlFileStatus(Freshness.OUTDATED if reasons else Freshness.CURRENT, reasons, held)


def warnings(tx: Transaction) -> list[str]:
    """Return a warning if phones have an outdated CTL file."""
    now = status(tx)
    if now.state is not Freshness.OUTDATED:
        return []
    return [f"the CTL file is outdated and has to be made again: {'; '.join(now.reasons)}"]


def _wanted(tx: Transaction, held: CtlFile | None) -> list[Record]:
    """Return the records that the file must have: tokens, nodes, the signer of phones' files, CAPF.

    The CAPF certificates are listed once CAPF was activated; a temporary deactivation does not remove trust.
    """
    records = [Record(Role.SAST, token.certificate) for token in tokens.current(tx.connection)]
    for node in nodes.all_nodes(tx.connection):
        if node.role is not None:
            records.append(Record(node.role, node.identity, node.name))
    signer = file_signer.certificate(tx.connection)
    if signer is not None and any(record.role in file_signer.TFTP_ROLES for record in records):
        records.append(Record(Role.TFTP, signer))
    if service.is_activated(tx.connection) or (held is not None and held.certificates(Role.CAPF)):
        records += [Record(Role.CAPF, certificate) for certificate in tx.context.authority.ctl_certificates]
    return records


def _reasons(held: Sequence[Record], wanted: Sequence[Record]) -> list[str]:
    """Return what has changed since the file was made, from the added and removed records."""
    come = [record for record in wanted if record not in held]
    go = [record for record in held if record not in wanted]
    reasons = []
    if any(record.role == Role.SAST for record in (*come, *go)):
        reasons.append("a security token was changed")
    listed = any(record.role == Role.CAPF for record in held)
    for record in come:
        if record.role == Role.CAPF and listed:
            reasons.append(f"the CAPF certificate {_name(record.certificate)} was added")
    for record in go:
        if record.role == Role.CAPF:
            reasons.append(f"the CAPF certificate {_name(record.certificate)} is no longer trusted")
    if any(map(_is_signer, go)):
        reasons.append("the signer of phones' files was changed or removed")
    nodes_come, nodes_go = ([record for record in side if not _is_signer(record)] for side in (come, go))
    return reasons + _node_reasons(nodes_come, nodes_go)


def _is_signer(record: Record) -> bool:
    """Return whether a record is the signer of phones' files: those of nodes have a name."""
    return record.role == Role.TFTP and not record.dns_name


def _signs_first(records: Sequence[Record], held: Last | None) -> bool:
    """Return whether a new file would be the first one to list a signer of phones' files."""
    return held is not None and any(map(_is_signer, records)) and not any(map(_is_signer, held.file.records))


def _node_reasons(come: Sequence[Record], go: Sequence[Record]) -> list[str]:
    came = {record.dns_name for record in come if record.role in _NODE_ROLES}
    went = {record.dns_name for record in go if record.role in _NODE_ROLES}
    texts = {
        "node {} was added": came - went,
        "node {} was removed, or runs neither call processing nor TFTP": went - came,
        "the certificate or role of node {} was changed": came & went,
    }
    return [text.format(name) for text, names in texts.items() for name in sorted(map(str, names))]


def _name(certificate: x509.Certificate) -> str:
    return authority.common_name(certificate)


def make_current(tx: Transaction, options: Options, wanted_tokens: Sequence[tokens.Supplied]) -> MadeCtlFile:
    """Change the given tokens, and make a new CTL file if it is outdated or its options differ.

    It is signed by a token that the previous file lists, so that phones accept it. ConflictError without such a token,
    or on a subscriber; InvalidRequestError names what is wrong with the options.
    """
    if not tx.context.first_node:
        raise FurtherNodeError("the CTL file is made")
    held = _last_or_none(tx.connection)
    trusted = None if held is None else held.file.certificates(Role.SAST)
    if faults(tx):
        trusted = [token.certificate for token in tokens.readable(tx.connection)]
    tokens.change(tx, wanted_tokens, trusted)
    file_signer.make_usable(tx)
    now = status(tx)
    records = _wanted(tx, None if held is None else held.file)
    digest, version = _options(options, records, held)
    reasons = list(now.reasons)
    if held is not None and (held.file.digest, held.file.signer_version) != (digest, version):
        reasons.append("a different digest or signer version is requested")
    if _signs_first(records, held):
        reasons.append("no CTL file has listed the signer of phones' files yet")
    before = {} if held is None else _summary(held.file.records, held.file.digest, held.file.signer_version)
    after = _summary(records, digest, version)
    if not reasons:
        return MadeCtlFile(False, [], before, after)
    data = _sign(tx, records, digest, version, trusted)
    node_rows.keep_ctl_file(tx.connection, data, tx.now, service.activations(tx.connection))
    tx.audit("make CTL file", because=reasons)
    return MadeCtlFile(True, reasons, before, after)


def _options(options: Options, records: Iterable[Record], held: Last | None) -> tuple[Digest, tuple[int, int]]:
    digest = Digest.SHA512 if held is None else held.file.digest
    curves = [record for record in records if isinstance(record.certificate.public_key(), ec.EllipticCurvePublicKey)]
    version = SIGNER_VERSIONS["1.1" if curves else "1.0"]
    problems = []
    if options.digest is not None and options.digest not in DIGESTS:
        problems.append(not_allowed("digest", options.digest, DIGESTS))
    if options.signer_version is not None and options.signer_version not in SIGNER_VERSIONS:
        problems.append(not_allowed("signer_version", options.signer_version, SIGNER_VERSIONS))
    if options.signer_version == "1.0" and curves:
        names = ", ".join(record.dns_name or _name(record.certificate) for record in curves)
        message = f"version 1.0 has no room for the EC keys of {names}; choose 1.1, or give them RSA certificates"
        problems.append(Problem("signer_version", "1.0", message))
    if problems:
        raise InvalidRequestError(problems)
    if options.digest is not None:
        digest = DIGESTS[options.digest]
    if options.signer_version is not None:
        version = SIGNER_VERSIONS[options.signer_version]
    return digest, version


def _sign(
    tx: Transaction,
    records: Sequence[Record],
    digest: Digest,
    version: tuple[int, int],
    trusted: Sequence[x509.Certificate] | None,
) -> bytes:
    signers = [token for token in tokens.current(tx.connection) if trusted is None or token.certificate in trusted]
    if not signers:
        raise ConflictError(tokens.TWO_STEPS)
    key = tokens.load_key(tx.context, signers[0])
    return ctl.make(records, signers[0].certificate, key, tx.now, digest=digest, signer_version=version)


def _summary(records: Sequence[Record], digest: Digest, version: tuple[int, int]) -> dict[str, Any]:
    return {
        "digest": DIGEST_NAMES[digest],
        "signer_version": ".".join(map(str, version)),
        "records": [show_record(record) for record in records],
    }


def show_record(record: Record) -> dict[str, Any]:
    """Return a record as the API shows it."""
    certificate = record.certificate
    return {
        "role": Role(record.role).name if record.role in tuple(Role) else str(record.role),
        "node": record.dns_name or "",
        "subject": name_text(certificate.subject),
        "serial_number": f"{certificate.serial_number:x}",
        "not_after": moment.show(int(certificate.not_valid_after_utc.timestamp())),
        "sha256": keystore.fingerprint(certificate),
    }


def sweep_keys(tx: Transaction) -> None:
    """Remove the key files of former tokens and signers, unless the current tokens cannot be read."""
    signer = file_signer.certificate(tx.connection)
    kept = [token.certificate for token in tokens.current(tx.connection)]
    token_keys.sweep(tx.context, kept if signer is None else [*kept, signer])


_NOTHING = {"made_at": "", "digest": "", "signer_version": "", "signer": "", "sha256": "", "records": []}


def show(now: CtlFileStatus) -> dict[str, Any]:
    """Return the state of the CTL file as the API shows it."""
    held = {} if now.last is None else _show_file(now.last)
    return {**_NOTHING, **held, "state": now.state.value, "reasons": now.reasons}


def show_received(data: bytes | None) -> dict[str, Any]:
    """Return the CTL file of a subscriber, which cannot know whether it is current."""
    if data is None:
        return {**_NOTHING, "state": Freshness.MISSING.value, "reasons": ["no CTL file was received yet"]}
    try:
        file = ctl.read(data)
    except CtlError as error:
        raise DamagedError(Fault(ctl.FILE_NAME, str(error), "run ucm.capf.ctl_file on the first node")) from None
    return {**_show_file(Last(data, file, file.timestamp, 0)), "state": "received", "reasons": []}


def _show_file(held: Last) -> dict[str, Any]:
    summary = _summary(held.file.records, held.file.digest, held.file.signer_version)
    signer = held.file.signer_name
    return {**summary, "made_at": moment.show(held.made_at), "signer": signer, "sha256": held.sha256}
