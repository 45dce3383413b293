# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of a phone's session to the world around it, and the answers to them.

``dialogue`` yields effects; the connection carries them out and sends the reply back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from capf.model import KeySpec, Operation, Outcome
from capf.phone_session.wire import Message


@dataclass(frozen=True, slots=True)
class Claim:
    """The phone's claimed identity and its proof (docs/protocol.md, "A session").

    ``device_name`` is as the phone sent it until the record knows it; ``sent_name`` is what it sent and signed, if the
    record has another spelling.
    """

    device_name: str
    version: int
    session_id: int
    peer: str
    password: str | None = field(default=None, repr=False)
    certificates: tuple[tuple[int, bytes], ...] = ()
    signed_data: bytes | None = None
    sha2_signed_data: tuple[int, bytes] | None = None
    sudi_data: bytes | None = None
    sent_name: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A session's hold on an operation: the number of the claim, and the phone's address."""

    operation_id: int
    claim: int
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """The operation that the phone may now carry out.

    ``keys`` are tried in order, ``attempts`` key requests in all, each for at most ``key_timeout`` seconds.
    ``proved``: the phone has authenticated and holds the operation exclusively.
    """

    hold: Hold
    operation: Operation
    keys: tuple[KeySpec, ...] = ()
    attempts: int = 1
    key_timeout: float = 1800.0
    proved: bool = False


class Cause(StrEnum):
    """Why a claim is refused, in words that serve as the label of a metric."""

    UNKNOWN_DEVICE = "unknown device"
    NOTHING_SCHEDULED = "nothing scheduled"
    IN_SESSION = "in another session"
    TOO_MANY_SESSIONS = "too many sessions"
    LOCKED = "locked"
    LATE = "late"
    INVALID_STRING = "invalid authentication string"
    INVALID_LSC = "invalid LSC"
    INVALID_MIC = "invalid MIC"
    INVALID_CREDENTIALS = "invalid credentials"
    NO_EC_SUPPORT = "no EC support"
    NOTHING_ISSUED = "CAPF cannot issue"


@dataclass(frozen=True, slots=True)
class Refused:
    """No operation for this phone: the wire's reason, the outcome to show if there is one, and the cause.

    ``operation_id``: the operation to which the refusal is counted, if any. ``problem`` adds details to the cause if
    they are known; it contains no secrets.
    """

    reason: int
    outcome: Outcome | None = None
    cause: Cause = field(default=Cause.IN_SESSION, compare=False)
    operation_id: int | None = field(default=None, compare=False)
    problem: str = field(default="", compare=False)


class Silence(Enum):
    """Why no message arrived."""

    LOST = "connection lost"
    TIMEOUT = "deadline passed"
    GARBAGE = "malformed message"


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message, in one write."""

    message: Message


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the phone's next message for at most ``timeout`` seconds; the reply is a Message or Silence.

    ``goes_on``: the wait continues that of the previous Receive, with the same deadline.
    """

    timeout: float
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """Sign and record a certificate for this public key; the reply is Issued, or None if refused."""

    hold: Hold
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that is recorded and may be sent: its DER and its serial number (hex)."""

    der: bytes
    serial_number: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """The phone confirmed the operation; ``serial_number`` (hex) of the LSC that it stored, empty for a Delete."""

    hold: Hold
    serial_number: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Troubleshoot: the certificates that the phone sent, as (type, DER)."""

    hold: Hold
    certificates: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """The operation failed; ``problem`` adds details to the outcome if they are known."""

    hold: Hold
    outcome: Outcome
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The session was lost; the phone's own retry continues (R5)."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Protest:
    """The phone violated the protocol; contains the unexpected message."""

    problem: str


RecordEffect = Claim | Issue | Confirm | Fetched | Fail | Lost
"""An effect on the record: one transaction, whose reply comes after its commit."""
RecordReply = Granted | Refused | Issued | None
Effect = Send | Receive | Protest | RecordEffect
Reply = Message | Silence | RecordReply
