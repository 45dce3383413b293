# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes that a phone's session makes to the record: claim, issue, confirm, fail (R5, R14, R27).

Source of the order: docs/design.md, "A phone's session".

Every function runs in one transaction of the store's writer, its audit row included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from capf import device_names
from capf.certificates.authority import Signed
from capf.model import (
    STATUS_PENDING,
    AuthenticationMode,
    CertificateState,
    KeyOrder,
    KeySpec,
    LintError,
    Operation,
    Outcome,
    State,
    operation_status,
)
from capf.phone_session.effects import (
    Cause,
    Claim,
    Confirm,
    Fail,
    Fetched,
    Granted,
    Hold,
    Issue,
    Issued,
    Lost,
    RecordEffect,
    RecordReply,
    Refused,
)
from capf.phone_session.verify import CheckedCredentials, certificate_serial, check_certificate, check_sudi, same_string
from capf.phone_session.wire import CertificateType, Reason
from capf.registry import forecast, guessing, lifecycle, need, refusals, trace
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import certificate_rows, rows
from capf.store.schema import OperationRow

LARGEST_LOSS = 4
"""The number of sessions that an operation may lose: the phone's first try and three retries (R5)."""
_SECONDS_A_MINUTE = 60
_VERSION_WITH_EC = 3


def claim(tx: Transaction, wanted: Claim) -> Granted | Refused:
    """Decide whether this phone may carry out its operation, and assign the operation to the session.

    A claim that proves nothing changes nothing: a refusal is only returned, and the caller counts it (``refusals``).
    """
    phone = rows.claimant(tx.connection, wanted.device_name)
    if phone is None and (name := _registered(tx.connection, wanted.device_name)) is not None:
        wanted = replace(wanted, device_name=name, sent_name=wanted.device_name)
        phone = rows.claimant(tx.connection, name)
    operation = None if phone is None else phone.operation
    string_is_right = _string_is_right(tx.context, wanted, operation)
    if phone is None:
        return Refused(Reason.UNKNOWN_DEVICE, cause=Cause.UNKNOWN_DEVICE)
    if operation is None or not lifecycle.is_open(operation):
        return Refused(Reason.NO_ACTION, cause=Cause.NOTHING_SCHEDULED)
    mode = AuthenticationMode(operation.authentication_mode)
    refused = _refused_now(tx, operation, mode)
    if refused is not None:
        return refused
    by_string = mode is AuthenticationMode.STRING
    if by_string and not guessing.may_try(tx, wanted, operation, string_is_right):
        return Refused(Reason.REJECTED, Outcome.INVALID_STRING, Cause.LOCKED)
    verdict = _identity(tx, wanted, operation, string_is_right, has_mic=phone.mic)
    if verdict.outcome is not None:
        return _refused(operation, verdict.outcome, verdict.problem)
    if _lacks_ec(wanted, operation):
        return _without_ec(tx, wanted, operation)
    return _grant(tx, wanted, operation, mic=verdict.mic and not phone.mic)


def _refused_now(tx: Transaction, operation: OperationRow, mode: AuthenticationMode) -> Refused | None:
    """Refuse the phone if the operation is in a session or overdue, or if CAPF cannot issue certificates (P55)."""
    if mode.proves and operation.holder:
        return Refused(Reason.REJECTED, cause=Cause.IN_SESSION)
    if operation.completes_by <= tx.now:
        return Refused(Reason.REJECTED, Outcome.LATE, Cause.LATE)
    why = forecast.nothing_is_issued(tx.context, tx.now) if operation.operation == Operation.INSTALL else ""
    return _refused(operation, Outcome.FAILED, why) if why else None


def _registered(connection: Connection, sent: str) -> str | None:
    """Return the name of a device that sends its name in another case, None if there is none."""
    name = device_names.meant(sent)
    if name is None:
        return None
    return rows.softphones(connection, [name]).get(name.casefold(), name if name != sent else None)


_CAUSES: Mapping[Outcome, Cause] = {
    Outcome.FAILED: Cause.NOTHING_ISSUED,
    Outcome.INVALID_STRING: Cause.INVALID_STRING,
    Outcome.INVALID_LSC: Cause.INVALID_LSC,
    Outcome.INVALID_MIC: Cause.INVALID_MIC,
    Outcome.INVALID_CREDENTIALS: Cause.INVALID_CREDENTIALS,
    Outcome.NO_EC_SUPPORT: Cause.NO_EC_SUPPORT,
}


def _refused(operation: OperationRow, outcome: Outcome, problem: str) -> Refused:
    """Return a refusal that is counted on the operation."""
    return Refused(Reason.REJECTED, outcome, _CAUSES[outcome], operation.id, problem)


def _string_is_right(context: Context, claim: Claim, operation: OperationRow | None) -> bool:
    """Compare the phone's string with its operation's, or with a decoy at the same cost.

    Timing does not reveal whether a device is known or has an operation.
    """
    kept = None if operation is None else operation.authentication_string
    wanted = None if kept is None else context.secrets.read(kept, claim.device_name)
    return same_string(claim.password, wanted or context.secrets.decoy()) and wanted is not None


def _identity(
    tx: Transaction, claim: Claim, operation: OperationRow, string_is_right: bool, *, has_mic: bool
) -> CheckedCredentials:
    """Check the phone's credentials by the operation's mode (R1)."""
    mode = AuthenticationMode(operation.authentication_mode)
    if mode is AuthenticationMode.NULL_STRING:
        if claim.password:
            return CheckedCredentials(Outcome.INVALID_STRING, "a string was sent, and the operation is by null string")
        return _bound(tx.context, claim)
    if mode is AuthenticationMode.STRING:
        if not string_is_right:
            return CheckedCredentials(
                Outcome.INVALID_STRING, "a wrong string" if claim.password else "no string was sent"
            )
        return _bound(tx.context, claim)
    known = _known(tx.connection, claim, operation, has_mic=has_mic)
    foreseen = forecast.judge(tx, [(known, forecast.PlannedOperation(operation.operation, mode, operation.key_order))])
    for doubt in foreseen.values():
        if doubt.certain and doubt.outcome is not None:
            return CheckedCredentials(doubt.outcome, f"the phone {doubt.why}")
    has_preferred = has_mic if mode is AuthenticationMode.MIC_FIRST else known.lsc is not None
    verdict = check_certificate(claim, mode, has_preferred, forecast.trust_of(tx.context), tx.now)
    return _superseded(tx.connection, claim) or verdict if verdict.outcome is None else verdict


def _lacks_ec(claim: Claim, operation: OperationRow) -> bool:
    """True if the phone cannot make the requested key."""
    ec_only = operation.operation == Operation.INSTALL and operation.key_order == KeyOrder.EC
    return bool(ec_only) and claim.version < _VERSION_WITH_EC


def _without_ec(tx: Transaction, claim: Claim, operation: OperationRow) -> Refused:
    """End the operation of an authenticated phone without EC support; refuse an unauthenticated one."""
    refused = _refused(operation, Outcome.NO_EC_SUPPORT, f"the client speaks version {claim.version}")
    if not AuthenticationMode(operation.authentication_mode).proves:
        return refused
    _fail(tx, operation, Outcome.NO_EC_SUPPORT, refused.problem)
    return replace(refused, operation_id=None)


def _known(connection: Connection, claim: Claim, operation: OperationRow, *, has_mic: bool) -> forecast.KnownPhone:
    """Return the facts on record about a phone that authenticates by a certificate.

    A phone may have deleted its LSC in a session whose confirmation was lost: then its MIC authenticates it. With
    precedence to MIC, a phone without a MIC on record shows which certificate it has.
    """
    may_be_deleted = operation.operation == Operation.DELETE and operation.lost_sessions
    lsc = None
    if operation.authentication_mode == AuthenticationMode.LSC_FIRST and not may_be_deleted:
        lsc = certificate_rows.active(connection, [claim.device_name]).get(claim.device_name)
    return forecast.KnownPhone(claim.device_name, has_mic, lsc, shown=True)


def _bound(context: Context, claim: Claim) -> CheckedCredentials:
    """Check SUDI data, if there is any, against the session, also in the modes without a certificate."""
    return (
        CheckedCredentials() if claim.sudi_data is None else check_sudi(claim, forecast.trust_of(context), context.now)
    )


def _superseded(connection: Connection, claim: Claim) -> CheckedCredentials | None:
    """Refuse an LSC of ours that is no longer the phone's.

    An abandoned LSC may still be on the phone, because both its own confirmation and its successor may have been lost,
    until a later operation confirms what the phone has.
    """
    record = certificate_rows.by_serial_number(connection, certificate_serial(claim.certificates[0][1]))
    if record is None or record.state in (CertificateState.ACTIVE, CertificateState.ISSUED):
        return None
    lost = record.state == CertificateState.ABANDONED and record.operation_id > rows.last_confirmed(
        connection, claim.device_name
    )
    return None if lost else CheckedCredentials(Outcome.INVALID_LSC, f"the LSC that was sent is {record.state}")


def _grant(tx: Transaction, claim: Claim, operation: OperationRow, *, mic: bool) -> Granted | Refused:
    """Assign the operation to the session; ``mic``: the phone proved for the first time that it has its MIC's key."""
    values = {"status": STATUS_PENDING, "problem": "", "ended_at": None}
    alone, claims = AuthenticationMode(operation.authentication_mode).proves, operation.claims
    if not rows.hold(tx.connection, operation.id, tx.context.holder, claims, alone=alone, **values):
        return Refused(Reason.REJECTED, cause=Cause.IN_SESSION)
    if mic:
        rows.change_phone(tx.connection, claim.device_name, mic=True)
    if alone or refusals.is_worth_a_row(claims, claims + 1):
        tx.by(claim.peer).audit("claim operation", claim.device_name)
    in_force, keys = tx.in_force, _keys(operation, claim.version)
    return Granted(
        hold=Hold(operation.id, claims + 1, claim.peer),
        operation=Operation(operation.operation),
        keys=keys,
        attempts=max(len(keys), 1 + in_force.number("Maximum Allowable Attempts For Key Generation")),
        key_timeout=in_force.number("Maximum Allowable Time For Key Generation") * _SECONDS_A_MINUTE,
        proved=alone,
    )


def _keys(operation: OperationRow, version: int) -> tuple[KeySpec, ...]:
    keys = need.keys(operation.key_order, operation.key_size, operation.ec_key_size)
    return keys if version >= _VERSION_WITH_EC else tuple(key for key in keys if not key.ec)


def _held(tx: Transaction, hold: Hold) -> OperationRow | None:
    """Return the operation while the session may continue it, None otherwise.

    An authenticated session has the operation exclusively: it must belong to this server, because another one that
    shares the database may have taken it over, and it must be the last session that claimed it. By null string,
    sessions run in parallel, and the first one whose phone is done ends the operation: an unauthenticated claim never
    locks out others.
    """
    operation = rows.operation(tx.connection, hold.operation_id)
    if operation is None or not lifecycle.is_open(operation):
        return None
    if not _proves(operation):
        return operation
    mine = operation.holder == tx.context.holder or operation.holder in tx.context.holders
    return operation if mine and operation.claims == hold.claim else None


def _proves(operation: OperationRow) -> bool:
    return AuthenticationMode(operation.authentication_mode).proves


def issue(tx: Transaction, wanted: Issue) -> Issued | None:
    """Sign a certificate and record it; the caller sends it only after the commit.

    Return it, or None if the session may not continue, or the key or the certificate is refused.
    """
    hold = wanted.hold
    operation = _held(tx, hold)
    if operation is None:
        return None
    years = tx.in_force.number("Duration Of Certificate Validity")
    name = operation.device_name
    try:
        signed, unconfirmed = _sign(tx, operation, wanted.public_key, years)
    except LintError as error:
        _stop(tx, operation, hold, Outcome.FAILED, str(error))
        return None
    if unconfirmed:
        issued, abandoned = CertificateState.ISSUED, CertificateState.ABANDONED
        certificate_rows.set_state(tx.connection, name, issued, abandoned, tx.now)
    rows.move(tx.connection, hold.operation_id, rows.OPEN, State.ISSUED)
    certificate_rows.add(
        tx.connection,
        serial_number=signed.serial_number,
        device_name=name,
        operation_id=hold.operation_id,
        der=signed.der,
        issuer_key_id=signed.issuer_key_id,
        issuer=signed.issuer,
        issuer_not_after=signed.issuer_not_after,
        not_before=signed.not_before,
        not_after=signed.not_after,
        ec=signed.key.ec,
        bits=signed.key.bits,
        public_key_sha256=signed.public_key_sha256,
        state=CertificateState.ISSUED.value,
        changed_at=tx.now,
    )
    tx.audit("issue certificate", name, serial_number=signed.serial_number)
    return Issued(signed.der, signed.serial_number)


def _sign(tx: Transaction, operation: OperationRow, public_key: bytes, years: int) -> tuple[Signed, bool]:
    """Return a certificate with a new serial number, and whether the phone has one that it never confirmed; LintError
    if key or profile are wrong, or the key was certified for another operation."""
    keys = need.keys(operation.key_order, operation.key_size, operation.ec_key_size)
    name = operation.device_name
    while True:
        signed = tx.context.authority.sign(name, public_key, keys, years, tx.now)
        serial, key = signed.serial_number, signed.public_key_sha256
        found = certificate_rows.in_the_way(tx.connection, serial, key, name)
        if any(row.public_key_sha256 == key and row.operation_id != operation.id for row in found):
            raise LintError("the key already has a certificate")
        unconfirmed = any(row.device_name == name and row.state == CertificateState.ISSUED for row in found)
        if not any(row.serial_number == serial for row in found):
            return signed, unconfirmed


def confirm(tx: Transaction, done: Confirm) -> None:
    """Record that the phone has stored its certificate or deleted its LSC.

    The operation is done and its string erased (R14). Other certificates issued for it stay on record, because another
    phone may have them.
    """
    operation = _held(tx, done.hold)
    if operation is None:
        return
    name, at = operation.device_name, tx.now
    issued, active = CertificateState.ISSUED, CertificateState.ACTIVE
    if operation.operation == Operation.DELETE:
        certificate_rows.set_state(tx.connection, name, active, CertificateState.DELETED, at)
        certificate_rows.set_state(tx.connection, name, issued, CertificateState.DELETED, at)
    else:
        certificate_rows.activate(tx.connection, name, done.serial_number, done.hold.operation_id, at)
    _end(tx, operation, State.DONE, Outcome.SUCCESS, "")


def fetched(tx: Transaction, found: Fetched) -> None:
    """Record the phone's certificates from Troubleshoot: one trace file per type, and the operation is done (R27)."""
    operation = _held(tx, found.hold)
    if operation is None:
        return
    name = operation.device_name
    if _proves(operation) and any(kind == CertificateType.MIC for kind, _unused in found.certificates):
        rows.change_phone(tx.connection, name, mic=True)
    problem = "" if found.certificates else "the phone has no certificate"
    _end(tx, operation, State.DONE, Outcome.SUCCESS, problem)
    trace.write(tx.context.trace_directory, name, found.certificates)


def fail(tx: Transaction, failure: Fail) -> None:
    """Record that the operation failed in this session."""
    operation = _held(tx, failure.hold)
    if operation is not None:
        _stop(tx, operation, failure.hold, failure.outcome, failure.problem)


def _stop(tx: Transaction, operation: OperationRow, hold: Hold, outcome: Outcome, problem: str) -> None:
    """End the operation of an authenticated phone; by null string, count the failed try and leave it open."""
    if _proves(operation):
        _fail(tx, operation, outcome, problem)
        return
    _let_go(tx, hold)
    tried = rows.operation(tx.connection, hold.operation_id)
    refusals.count(tx, tried, refusals.Gathered(1, tx.now, hold.peer, outcome, problem))


def _let_go(tx: Transaction, hold: Hold, **values: Any) -> bool:
    """Release the operation if this session holds it; True if it did."""
    names = {tx.context.holder, *tx.context.holders}
    return any(rows.give_back(tx.connection, hold.operation_id, hold.claim, name, **values) for name in names)


def _fail(tx: Transaction, operation: OperationRow, outcome: Outcome, problem: str) -> None:
    _end(tx, operation, State.FAILED, outcome, problem)


def _end(tx: Transaction, operation: OperationRow, state: State, outcome: Outcome, problem: str) -> None:
    """End an operation with its status and erase its string; an ended operation is never carried out again."""
    status = operation_status(Operation(operation.operation), outcome)
    said = {"status": status, "problem": problem, "ended_at": tx.now}
    before = [State(operation.state)]
    rows.move(tx.connection, operation.id, before, state, **said, holder="", authentication_string=None)
    tx.audit(f"operation {state}", operation.device_name, status=status, problem=problem)


def lost(tx: Transaction, loss: Lost) -> None:
    """Record a lost session: the phone's retry continues until its retries are used up (R5).

    By null string they never are; from the fourth lost session on, the operation shows the failure.
    """
    operation = _held(tx, loss.hold)
    if operation is None:
        return
    losses, proves = operation.lost_sessions + 1, _proves(operation)
    rows.change_operation(tx.connection, loss.hold.operation_id, lost_sessions=losses)
    if losses >= LARGEST_LOSS:
        _stop(tx, operation, loss.hold, Outcome.COMMUNICATION_FAILURE, _sessions_were_lost(losses))
        return
    _let_go(tx, loss.hold, problem="session lost")
    if proves or refusals.is_worth_a_row(losses - 1, losses):
        tx.audit("session lost", operation.device_name)


def _sessions_were_lost(number: int) -> str:
    return "four sessions were lost" if number == LARGEST_LOSS else f"{number} sessions were lost"


_PERFORM: Mapping[type[RecordEffect], Callable[[Transaction, Any], RecordReply]] = {
    Claim: claim,
    Issue: issue,
    Confirm: confirm,
    Fetched: fetched,
    Fail: fail,
    Lost: lost,
}


def perform(tx: Transaction, effect: RecordEffect) -> RecordReply:
    """Carry out a session's request to the record."""
    return _PERFORM[type(effect)](tx, effect)


def recover(tx: Transaction) -> int:
    """After a start, release the operations of sessions that died with the old process (R18)."""
    count = sum(rows.release(tx.connection, holder) for holder in tx.context.holders)
    tx.audit("recover", operations=count)
    return count


def give_back(tx: Transaction, holds: Collection[Hold]) -> int:
    """Release the operations of sessions that ended while the record could not be written."""
    count = sum(_let_go(tx, hold) for hold in holds)
    if count:
        tx.audit("give back", operations=count)
    return count
