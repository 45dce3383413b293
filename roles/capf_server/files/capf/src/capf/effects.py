"""What one phone's session asks of the world around it, and the answers it gets.

``session.dialogue`` yields effects; the listener carries them out and sends the reply back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from capf.model import KeySpec, Operation, Outcome
from capf.wire import Message


@dataclass(frozen=True, slots=True)
class Claim:
    """Who the phone says it is and what it offers as proof (protocol page: AUTH_RESPONSE)."""

    device_name: str
    version: int
    session_id: int
    peer: str
    password: str | None = field(default=None, repr=False)
    certificates: tuple[tuple[int, bytes], ...] = ()
    signed_data: bytes | None = None
    sha2_signed_data: tuple[int, bytes] | None = None
    sudi_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The operation that the phone may carry out now.

    ``keys`` are tried in order, ``attempts`` key requests in all, each for at most ``key_timeout`` seconds.
    """

    operation_id: int
    operation: Operation
    keys: tuple[KeySpec, ...] = ()
    attempts: int = 1
    key_timeout: float = 1800.0


@dataclass(frozen=True, slots=True)
class Refused:
    """No operation for this phone: the wire's reason, and the outcome recorded where there is one."""

    reason: int
    outcome: Outcome | None = None


class Silence(Enum):
    """Why no message came."""

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

    ``goes_on``: the wait began with the Receive before, whose deadline stands.
    """

    timeout: float
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """Sign and record a certificate for this public key; the reply is its DER, or None when refused."""

    operation_id: int
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Confirm:
    """The phone said that it did what was asked."""

    operation_id: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Troubleshoot: the certificates that the phone sent, as (type, DER)."""

    operation_id: int
    certificates: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """The operation failed; ``problem`` says more than the outcome where more is known."""

    operation_id: int
    outcome: Outcome
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The session was lost; the phone's own retry goes on (R5)."""

    operation_id: int


@dataclass(frozen=True, slots=True)
class Protest:
    """The phone broke the protocol: what it said that makes no sense here."""

    problem: str


Effect = Send | Receive | Claim | Issue | Confirm | Fetched | Fail | Lost | Protest
Reply = Message | Silence | Granted | Refused | bytes | None
