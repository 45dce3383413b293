"""What a phone's session may do to the record: claim, issue, confirm, fail (R5, R14, R27, the design's order).

Every function runs in one transaction of the store's writer, its audit row included.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection

from capf.effects import Claim, Granted, Refused
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
from capf.registry import need, trace
from capf.registry.context import Context
from capf.store import journal, rows
from capf.verify import Trust, certificate_fault, certificate_serial, same_string, sudi_fault
from capf.wire import CertificateType, Reason

LOG = logging.getLogger(__name__)
LARGEST_LOSS = 4
"""Sessions that an operation may lose: the first try and the phone's three more (R5)."""
WRONG_STRINGS = 10
_SECONDS_A_MINUTE = 60
_VERSION_WITH_EC = 3
_WORKING = (State.CLAIMED, State.ISSUED)


def claim(connection: Connection, context: Context, wanted: Claim) -> Granted | Refused:
    """Decide whether this phone may carry out its operation now, and take the operation for the session."""
    comer = rows.comer(connection, wanted.device_name)
    string_is_right = _string_is_right(context, wanted, comer)
    if comer is None:
        _audit(connection, context, wanted, "unknown device")
        return Refused(Reason.UNKNOWN_DEVICE)
    if comer["locked_until"] > context.now:
        _audit(connection, context, wanted, "refused: locked")
        return Refused(Reason.REJECTED, Outcome.INVALID_STRING)
    if not _claimable(comer):
        _audit(connection, context, wanted, "refused: nothing scheduled")
        return Refused(Reason.NO_ACTION)
    if comer["holder"]:
        _audit(connection, context, wanted, "refused: in another session")
        return Refused(Reason.REJECTED)
    outcome = _refusal(connection, context, wanted, comer, string_is_right)
    if outcome is not None:
        _fail(connection, context, comer, outcome, "")
        if outcome is Outcome.INVALID_STRING:
            _count_wrong_string(connection, context, comer)
        return Refused(Reason.REJECTED, outcome)
    return _grant(connection, context, wanted, comer)


def _string_is_right(context: Context, claim: Claim, comer: rows.Row | None) -> bool:
    """Compare the phone's string with its operation's, or with a decoy where there is none, at the same cost: nobody
    learns from the time of an answer whether a device is known or has an operation."""
    kept = None if comer is None else comer["authentication_string"]
    wanted = context.secrets.decoy() if kept is None else context.secrets.decrypt(kept, claim.device_name)
    return same_string(claim.password, wanted) and kept is not None


def _audit(connection: Connection, context: Context, claim: Claim, action: str) -> None:
    journal.record(connection, context.now, claim.peer, [journal.Act(action, claim.device_name[:64])])


def _claimable(comer: rows.Row) -> bool:
    """True when a session may still carry out the phone's operation.

    A wrong string has failed it (R14), but the right one entered later goes on: nobody can stop a
    phone's operation for good by one wrong guess.
    """
    if comer["id"] is None or comer["state"] in rows.OPEN:
        return comer["id"] is not None
    wrong_string = operation_status(Operation(comer["operation"]), Outcome.INVALID_STRING)
    return comer["status"] == wrong_string and comer["authentication_string"] is not None


def _refusal(
    connection: Connection, context: Context, claim: Claim, operation: rows.Row, string_is_right: bool
) -> Outcome | None:
    if operation["completes_by"] <= context.now:
        return Outcome.LATE
    fault = _identity_fault(connection, context, claim, operation, string_is_right)
    if fault is not None:
        return fault
    ec_only = operation["operation"] == Operation.INSTALL and operation["key_order"] == KeyOrder.EC
    return Outcome.NO_EC_SUPPORT if ec_only and claim.version < _VERSION_WITH_EC else None


def _identity_fault(
    connection: Connection, context: Context, claim: Claim, operation: rows.Row, string_is_right: bool
) -> Outcome | None:
    """Check the phone's credentials by the operation's mode (R1)."""
    mode = AuthenticationMode(operation["authentication_mode"])
    if mode is AuthenticationMode.NULL_STRING:
        return Outcome.INVALID_STRING if claim.password else _bound(context, claim)
    if mode is AuthenticationMode.STRING:
        return _bound(context, claim) if string_is_right else Outcome.INVALID_STRING
    has_preferred = _has_preferred(connection, claim, mode, operation)
    fault = certificate_fault(claim, mode, has_preferred, _trust(context), context.now)
    return fault or _superseded(connection, claim)


def _has_preferred(connection: Connection, claim: Claim, mode: AuthenticationMode, comer: rows.Row) -> bool:
    """True when the phone is known to have the certificate to which the mode gives precedence.

    One may have deleted its LSC in a session whose end was lost: then its MIC authenticates it.
    """
    if mode is AuthenticationMode.MIC_FIRST:
        return bool(comer["mic"])
    may_be_deleted = comer["operation"] == Operation.DELETE and comer["lost_sessions"]
    return not may_be_deleted and bool(rows.active_certificates(connection, [claim.device_name]))


def _trust(context: Context) -> Trust:
    policy = context.policy
    return Trust(
        context.authority.lsc_issuers,
        context.authority.mic_issuers,
        allow_expired_mic=policy.allow_expired_mic,
        allow_sha1_mic=policy.allow_sha1_mic,
        require_sudi=policy.require_sudi,
    )


def _bound(context: Context, claim: Claim) -> Outcome | None:
    """SUDI data, where there is any, has to bind to the session in the modes without certificate too."""
    return None if claim.sudi_data is None else sudi_fault(claim, _trust(context), context.now)


def _superseded(connection: Connection, claim: Claim) -> Outcome | None:
    """Refuse an LSC of ours that is no longer the phone's.

    An abandoned one may be what the phone holds, for both its own confirmation and its successor can have been lost on
    the way, until an operation after it has told what the phone holds.
    """
    record = rows.certificate(connection, certificate_serial(claim.certificates[0][1]))
    if record is None or record["state"] in (CertificateState.ACTIVE, CertificateState.ISSUED):
        return None
    lost = record["state"] == CertificateState.ABANDONED and record["operation_id"] > rows.last_confirmed(
        connection, claim.device_name
    )
    return None if lost else Outcome.INVALID_LSC


def _count_wrong_string(connection: Connection, context: Context, comer: rows.Row) -> None:
    tries = comer["wrong_strings"] + 1
    if tries < WRONG_STRINGS:
        rows.change_phone(connection, comer["device_name"], wrong_strings=tries)
        return
    until = context.now + context.policy.lock_seconds
    rows.change_phone(connection, comer["device_name"], wrong_strings=0, locked_until=until)
    journal.record(connection, context.now, "capf", [journal.Act("lock phone", comer["device_name"])])


def _grant(connection: Connection, context: Context, claim: Claim, comer: rows.Row) -> Granted | Refused:
    values = {"status": STATUS_PENDING, "problem": "", "ended_at": None}
    if not rows.hold(connection, comer["id"], context.holder, **values):
        _audit(connection, context, claim, "refused: in another session")
        return Refused(Reason.REJECTED)
    shown_mic = any(kind == CertificateType.MIC for kind, _unused in claim.certificates)
    if shown_mic or claim.sudi_data is not None or comer["wrong_strings"]:
        mic = bool(comer["mic"] or shown_mic or claim.sudi_data)
        rows.change_phone(connection, claim.device_name, mic=mic, wrong_strings=0)
    _audit(connection, context, claim, "claim operation")
    in_force, keys = context.in_force(connection), _keys(comer, claim.version)
    return Granted(
        operation_id=comer["id"],
        operation=Operation(comer["operation"]),
        keys=keys,
        attempts=max(len(keys), 1 + in_force.number("Maximum Allowable Attempts For Key Generation")),
        key_timeout=in_force.number("Maximum Allowable Time For Key Generation") * _SECONDS_A_MINUTE,
    )


def _keys(operation: rows.Row, version: int) -> tuple[KeySpec, ...]:
    keys = need.keys(operation["key_order"], operation["key_size"], operation["ec_key_size"])
    return keys if version >= _VERSION_WITH_EC else tuple(key for key in keys if not key.ec)


def _held(connection: Connection, context: Context, operation_id: int) -> rows.Row | None:
    """Return the operation while it is this server's: another one that shares the database may have taken it over."""
    operation = rows.operation(connection, operation_id)
    if operation is None or operation["state"] not in _WORKING:
        return None
    mine = operation["holder"] == context.holder or operation["holder"] in context.holders
    return operation if mine else None


def issue(connection: Connection, context: Context, operation_id: int, public_key: bytes) -> bytes | None:
    """Sign a certificate and record it; the caller sends it only after this is committed.

    Returns its DER, or None when the key or the certificate is refused; then the operation has failed.
    """
    operation = _held(connection, context, operation_id)
    if operation is None:
        return None
    years = context.in_force(connection).number("Duration Of Certificate Validity")
    keys = need.keys(operation["key_order"], operation["key_size"], operation["ec_key_size"])
    name = operation["device_name"]
    try:
        signed = context.authority.sign(name, public_key, keys, years, context.now)
        while rows.certificate(connection, signed.serial_number) is not None:
            signed = context.authority.sign(name, public_key, keys, years, context.now)
        if rows.key_is_used(connection, signed.public_key_sha256, operation_id):
            raise LintError("the key already has a certificate")
    except LintError as error:
        _fail(connection, context, operation, Outcome.FAILED, str(error))
        return None
    issued, abandoned = CertificateState.ISSUED, CertificateState.ABANDONED
    rows.turn_certificates(connection, name, issued, abandoned, context.now)
    rows.move(connection, operation_id, _WORKING, State.ISSUED)
    rows.add_certificate(
        connection,
        serial_number=signed.serial_number,
        device_name=name,
        operation_id=operation_id,
        der=signed.der,
        issuer_key_id=signed.issuer_key_id,
        issuer=signed.issuer,
        issuer_not_after=signed.issuer_not_after,
        not_before=signed.not_before,
        not_after=signed.not_after,
        ec=signed.key.ec,
        bits=signed.key.bits,
        public_key_sha256=signed.public_key_sha256,
        state=issued.value,
        changed_at=context.now,
    )
    detail = {"serial_number": signed.serial_number}
    journal.record(connection, context.now, "capf", [journal.Act("issue certificate", name, detail)])
    return signed.der


def confirm(connection: Connection, context: Context, operation_id: int) -> None:
    """The phone has stored or deleted its LSC: the operation is done and its string erased (R14)."""
    operation = _held(connection, context, operation_id)
    if operation is None:
        return
    name, at = operation["device_name"], context.now
    issued, active = CertificateState.ISSUED, CertificateState.ACTIVE
    if operation["operation"] == Operation.DELETE:
        old, new = CertificateState.DELETED, CertificateState.DELETED
    else:
        old, new = CertificateState.SUPERSEDED, active
    rows.turn_certificates(connection, name, active, old, at)
    rows.turn_certificates(connection, name, issued, new, at)
    _end(connection, context, operation, State.DONE, Outcome.SUCCESS, "")


def fetched(
    connection: Connection, context: Context, operation_id: int, certificates: Sequence[tuple[int, bytes]]
) -> None:
    """Troubleshoot brought the phone's certificates: one trace file per type, and the operation is done (R27)."""
    operation = _held(connection, context, operation_id)
    if operation is None:
        return
    name = operation["device_name"]
    if any(kind == CertificateType.MIC for kind, _unused in certificates):
        rows.change_phone(connection, name, mic=True)
    outcome = Outcome.SUCCESS if certificates else Outcome.NO_CERTIFICATE
    problem = "" if certificates else "the phone has no certificate"
    _end(connection, context, operation, State.DONE, outcome, problem)
    trace.write(context.trace_directory, name, certificates)


def fail(connection: Connection, context: Context, operation_id: int, outcome: Outcome, problem: str) -> None:
    """The operation of this session failed."""
    operation = _held(connection, context, operation_id)
    if operation is not None:
        _fail(connection, context, operation, outcome, problem)


def _fail(connection: Connection, context: Context, operation: rows.Row, outcome: Outcome, problem: str) -> None:
    _end(connection, context, operation, State.FAILED, outcome, problem)


def _end(
    connection: Connection, context: Context, operation: rows.Row, state: State, outcome: Outcome, problem: str
) -> None:
    """End an operation with its status; the string lives on only where another try of it is allowed."""
    status = operation_status(Operation(operation["operation"]), outcome)
    values: dict[str, Any] = {"status": status, "problem": problem, "ended_at": context.now, "holder": ""}
    if outcome is not Outcome.INVALID_STRING:
        values["authentication_string"] = None
    rows.move(connection, operation["id"], [State(operation["state"])], state, **values)
    act = journal.Act(f"operation {state}", operation["device_name"], {"status": status, "problem": problem})
    journal.record(connection, context.now, "capf", [act])


def lost(connection: Connection, context: Context, operation_id: int) -> None:
    """The session was lost: the phone's next try goes on, until its tries are used up (R5)."""
    operation = _held(connection, context, operation_id)
    if operation is None:
        return
    losses = operation["lost_sessions"] + 1
    if losses >= LARGEST_LOSS:
        _fail(connection, context, operation, Outcome.COMMUNICATION_FAILURE, "four sessions were lost")
        return
    rows.change_operation(connection, operation_id, lost_sessions=losses, problem="session lost", holder="")
    rows.move(connection, operation_id, [State.CLAIMED], State.PENDING)
    journal.record(connection, context.now, "capf", [journal.Act("session lost", operation["device_name"])])


def recover(connection: Connection, context: Context) -> int:
    """After a start, give operations of sessions that died with the old process back to the phones (R18)."""
    count = sum(rows.release(connection, holder) for holder in context.holders)
    journal.record(connection, context.now, "capf", [journal.Act("recover", detail={"operations": count})])
    return count


def give_back(connection: Connection, context: Context, operations: Collection[int]) -> int:
    """Give operations back to the phones whose sessions ended while the record could not be written."""
    count = sum(rows.release(connection, holder, operations) for holder in context.holders)
    if count:
        journal.record(connection, context.now, "capf", [journal.Act("give back", detail={"operations": count})])
    return count
