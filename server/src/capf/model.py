# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vocabulary of Unified CM, and the values that are passed between the layers.

The values of the enumerations are the words of Unified CM, so the database, the API, the modules and the report all
show the same words (docs/vocabulary.md, Table 10-3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum


class Operation(StrEnum):
    """Certificate Operation (R26)."""

    NONE = "No Pending Operation"
    INSTALL = "Install/Upgrade"
    DELETE = "Delete"
    TROUBLESHOOT = "Troubleshoot"


class AuthenticationMode(StrEnum):
    """How the phone authenticates (R1)."""

    STRING = "By Authentication String"
    NULL_STRING = "By Null String"
    LSC_FIRST = "By Existing Certificate (precedence to LSC)"
    MIC_FIRST = "By Existing Certificate (precedence to MIC)"

    @property
    def proves(self) -> bool:
        """Whether a phone is authenticated by this mode; a null string proves nothing."""
        return self is not AuthenticationMode.NULL_STRING


class SecurityMode(StrEnum):
    """Device Security Mode (R9, R10)."""

    NON_SECURE = "Non Secure"
    AUTHENTICATED = "Authenticated"
    ENCRYPTED = "Encrypted"


class KeyOrder(StrEnum):
    """The key types to request from the phone, in order."""

    RSA = "RSA Only"
    EC = "EC Only"
    EC_RSA = "EC Preferred, RSA Backup"


RSA_KEY_SIZES = (512, 1024, 2048, 3072, 4096)
EC_KEY_SIZES = (256, 384, 521)


class State(StrEnum):
    """The state of a certificate operation in the database; transitions are compare-and-swap.

    pending -> claimed -> issued -> done; any open state -> failed or cancelled.
    """

    PENDING = "pending"
    CLAIMED = "claimed"
    ISSUED = "issued"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the operation has ended; such a state never changes again."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Status:
    """The meaning of an Operation Status.

    ``words``: the text after the operation's family, such as ``Failed``; ``cause``: why it failed; ``advice``: what the
    administrator can do, if anything; ``retry_may_help``: whether a rollout retries the phone in the same window.
    """

    words: str
    cause: str = ""
    advice: str = ""
    retry_may_help: bool = False

    def __str__(self) -> str:
        return f"{self.words}: {self.cause}" if self.cause else self.words


class Outcome(Enum):
    """How an operation ended: the one table of statuses with their texts and advice."""

    SUCCESS = Status("Success")
    FAILED = Status(
        "Failed",
        advice="see the problem; restart the phone, and examine its traces if it fails again",
        retry_may_help=True,
    )
    INVALID_STRING = Status(
        "Failed",
        "Invalid Authentication String",
        "send the user the authentication string again and have it entered carefully",
    )
    INVALID_LSC = Status(
        "Failed",
        "Invalid LSC",
        "the phone's LSC is not accepted: use By Null String or By Authentication String",
    )
    INVALID_MIC = Status(
        "Failed",
        "Invalid MIC",
        "trust the issuer of the phone's MIC, or use another Authentication Mode",
    )
    INVALID_CREDENTIALS = Status(
        "Failed",
        "Invalid Credentials",
        "the certificate belongs to another device: inspect the phone first",
    )
    COMMUNICATION_FAILURE = Status(
        "Failed",
        "Phone Communication Failure",
        "check the phone's network, then retry",
        retry_may_help=True,
    )
    KEY_GENERATION_FAILED = Status(
        "Failed",
        "Key Generation Failed/Timeout",
        "retry; for an old phone, allow more time or a smaller key",
        retry_may_help=True,
    )
    LATE = Status(
        "Failed",
        "User Initiated Request Late/Timedout",
        "the deadline had passed: include the phone in the next window",
    )
    NO_EC_SUPPORT = Status(
        "Failed",
        "No Support for EC only in CAPF version 3",
        "request an RSA key from this phone",
    )


STATUS_NONE = "None"
LSC_INSTALLED, LSC_NOT_INSTALLED = "Installed", "Not Installed"
STATUS_PENDING = "Operation Pending"
_FAMILY = {
    Operation.INSTALL: "Upgrade",
    Operation.DELETE: "Delete",
    Operation.TROUBLESHOOT: "Troubleshoot",
}


def operation_status(operation: Operation, outcome: Outcome) -> str:
    """Return the Operation Status that shows ``outcome`` (for example ``Upgrade Success``)."""
    return f"{_FAMILY[operation]} {outcome.value}"


_CA_FAILURE = Status(
    "Failed",
    "CA Communication Failure",
    advice="the earlier CAPF did not reach its CA; schedule the operation here",
    retry_may_help=True,
)
_CA_REFUSAL = Status(
    "Failed",
    "CA Rejected Connection",
    advice="the CA refused the earlier CAPF; schedule the operation here",
    retry_may_help=True,
)
_OF_UNIFIED_CM = {f"{family} {status}": status for family in _FAMILY.values() for status in (_CA_FAILURE, _CA_REFUSAL)}
"""Statuses that only Unified CM has; this server issues certificates without an external CA."""
_STATUSES = {
    **_OF_UNIFIED_CM,
    STATUS_PENDING: Status(
        STATUS_PENDING,
        advice="the phone did not connect: check its power and network on site",
        retry_may_help=True,
    ),
    STATUS_NONE: Status(STATUS_NONE, advice="its operation was cancelled: include the phone in the next rollout"),
    **{operation_status(operation, outcome): outcome.value for operation in _FAMILY for outcome in Outcome},
}


def is_known_status(text: str) -> bool:
    """Return whether this server or Unified CM has this Operation Status."""
    return text in _STATUSES


def status_of(text: str) -> Status:
    """Return the meaning of an Operation Status; for texts of other servers, only the text itself is known."""
    return _STATUSES.get(text) or Status(text, advice="inspect the phone")


class CertificateState(StrEnum):
    """The state of a certificate that this CAPF signed."""

    ISSUED = "issued"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    DELETED = "deleted"


DEVICE_NAME = re.compile(r"(?:(?:SEP|ATA)[0-9A-F]{12}|(?:CSF|TCT|BOT|TAB)[A-Za-z0-9._-]{1,50})")
DEVICE_NAME_ALLOWED = "SEP or ATA and 12 upper-case hexadecimal digits, or CSF, TCT, BOT or TAB and a name"
AUTHENTICATION_STRING = re.compile(r"[0-9]{4,10}")
AUTHENTICATION_STRING_ALLOWED = "4 to 10 digits"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The key that the phone has to generate: RSA with ``bits``, or EC with the curve of ``bits``."""

    ec: bool
    bits: int

    def __str__(self) -> str:
        return f"{'EC P-' if self.ec else 'RSA '}{self.bits}"


HIDDEN = "(hidden)"
"""Shown in place of a secret."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a request: the field, its value, and a message that says what is wrong and what to do.

    The message is complete by itself: it contains the value, unless that is a secret.
    """

    field: str
    value: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def not_allowed(field: str, value: str, allowed: str | Iterable[object]) -> Problem:
    """Return the problem of a value outside a range (in words) or a list of choices."""
    choices = allowed if isinstance(allowed, str) else ", ".join(str(choice) for choice in allowed)
    subject = "this value" if value == HIDDEN else repr(value)
    return Problem(field, value, f"{subject} is refused; allowed: {choices}")


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as ``1 phone`` or ``2,500 phones``."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def words_of(error: Exception) -> str:
    """Return the message of an error for a user: our own or the operating system's, never a library's."""
    if isinstance(error, CapfError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"an unexpected error ({type(error).__name__}); see the server's log"


@dataclass(frozen=True, slots=True)
class Fault:
    """A file or row of the server that cannot be used, with its problem and what to do.

    ``stops_capf``: CAPF does not run with it. Administration runs in spite of every fault.
    """

    where: str
    problem: str
    todo: str
    stops_capf: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.todo}"


class CapfError(Exception):
    """Base class of every error that this project raises intentionally."""


class InvalidRequestError(CapfError):
    """The request breaks a rule; nothing was changed. Contains every problem that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class ConflictError(CapfError):
    """The request is valid, but the current state does not allow it (R13, R24).

    ``code`` identifies the state for callers that act on it, and ``details`` contains the data that they need.
    """

    def __init__(self, message: str, code: str = "conflict", **details: int | str) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class FurtherNodeError(ConflictError):
    """The request is only possible on the first node, and this is a subscriber (R13)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} on the first node only; this is a subscriber", "first_node_only")


class DamagedError(ConflictError):
    """A required file or row cannot be used; the ``fault`` names it and says what to do."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class StoreUnavailableError(CapfError):
    """The database is not available; nothing was changed."""


class LintError(CapfError):
    """A certificate was not signed because it breaks the profile or the key policy."""
