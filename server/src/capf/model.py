# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the field and the values that travel between the layers.

Every enumeration carries the strings of the field, so that the database, the API, the
modules and the report all show the same words (docs/vocabulary.md, Table 10-3).
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
    """How the phone proves who it is (R1)."""

    STRING = "By Authentication String"
    NULL_STRING = "By Null String"
    LSC_FIRST = "By Existing Certificate (precedence to LSC)"
    MIC_FIRST = "By Existing Certificate (precedence to MIC)"

    @property
    def proves(self) -> bool:
        """True when a phone that is let in has proved who it is; by null string nobody proves anything."""
        return self is not AuthenticationMode.NULL_STRING


class SecurityMode(StrEnum):
    """Device Security Mode (R9, R10)."""

    NON_SECURE = "Non Secure"
    AUTHENTICATED = "Authenticated"
    ENCRYPTED = "Encrypted"


class KeyOrder(StrEnum):
    """Which key types the phone is asked for, in which order."""

    RSA = "RSA Only"
    EC = "EC Only"
    EC_RSA = "EC Preferred, RSA Backup"


RSA_KEY_SIZES = (512, 1024, 2048, 3072, 4096)
EC_KEY_SIZES = (256, 384, 521)


class State(StrEnum):
    """Where a certificate operation stands in the database; moves are compare-and-swap.

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
        """True when nothing more is expected of the phone; no state that has ended is ever left again."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Status:
    """What an Operation Status means.

    ``words``: what follows the operation's family, such as ``Failed``; ``cause``: why it failed; ``advice``: what the
    administrator can do, empty where there is nothing to do; ``retry_may_help``: whether a rollout retries the phone in
    the same window.
    """

    words: str
    cause: str = ""
    advice: str = ""
    retry_may_help: bool = False

    def __str__(self) -> str:
        return f"{self.words}: {self.cause}" if self.cause else self.words


class Outcome(Enum):
    """How an operation ended. This is the one table of what a status says and what to do about it."""

    SUCCESS = Status("Success")
    FAILED = Status(
        "Failed",
        advice="see the problem; start the phone again, and have its traces looked at if it fails again",
        retry_may_help=True,
    )
    INVALID_STRING = Status(
        "Failed",
        "Invalid Authentication String",
        "give out the authentication string again and have it entered carefully",
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
        "the certificate is another device's: look at the phone before anything else",
    )
    COMMUNICATION_FAILURE = Status(
        "Failed",
        "Phone Communication Failure",
        "check the phone's network, then try again",
        retry_may_help=True,
    )
    KEY_GENERATION_FAILED = Status(
        "Failed",
        "Key Generation Failed/Timeout",
        "try again; allow more time, or a smaller key, for an old phone",
        retry_may_help=True,
    )
    LATE = Status(
        "Failed",
        "User Initiated Request Late/Timedout",
        "the time was over: take the phone into the next window",
    )
    NO_EC_SUPPORT = Status(
        "Failed",
        "No Support for EC only in CAPF version 3",
        "ask this phone for an RSA key",
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


_STATUSES = {
    STATUS_PENDING: Status(
        STATUS_PENDING,
        advice="the phone did not come: see whether it has power and network, and visit it",
        retry_may_help=True,
    ),
    STATUS_NONE: Status(STATUS_NONE, advice="its operation was cancelled: take the phone into the next rollout"),
    **{operation_status(operation, outcome): outcome.value for operation in _FAMILY for outcome in Outcome},
}


def status_of(text: str) -> Status:
    """Return what an Operation Status means; a text that this server does not write says nothing but itself."""
    return _STATUSES.get(text) or Status(text, advice="look at the phone")


class CertificateState(StrEnum):
    """What became of a certificate that this CAPF signed."""

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
    """The key that the phone is asked to make: RSA with ``bits``, or EC with the curve of ``bits``."""

    ec: bool
    bits: int

    def __str__(self) -> str:
        return f"{'EC P-' if self.ec else 'RSA '}{self.bits}"


HIDDEN = "(hidden)"
"""What is shown in the place of a secret."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request: the field, what was given there, and what is wrong and what to do.

    The message stands alone: it names the value, unless that is a secret.
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


def words_of(error: Exception) -> str:
    """Return the message of an error for a user: our own words and the operating system's, never a library's."""
    if isinstance(error, CapfError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"an unexpected error ({type(error).__name__}); see the server's log"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the server keeps and cannot use: the file or row, what is wrong with it, and what to do.

    ``stops_capf``: CAPF does not run with it. Administration does with all of them.
    """

    where: str
    problem: str
    todo: str
    stops_capf: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.todo}"


class CapfError(Exception):
    """Root of every error that this project raises on purpose."""


class InvalidRequestError(CapfError):
    """The request breaks a rule; nothing was changed. Carries every problem that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class ConflictError(CapfError):
    """The request is well formed but the present state does not allow it (R13, R24).

    ``code`` says which state that is where a caller decides by it, and ``details`` is what it decides with.
    """

    def __init__(self, message: str, code: str = "conflict", **details: int | str) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class FurtherNodeError(ConflictError):
    """What is asked for is done on the first node only, and this is a further one (R13)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} on the first node only; this is a subscriber", "first_node_only")


class DamagedError(ConflictError):
    """A file or row that is needed here cannot be used; the ``fault`` names it and says what to do."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class StoreUnavailableError(CapfError):
    """The database cannot be used now; nothing was changed."""


class LintError(CapfError):
    """A certificate was not signed because it breaks the profile or the key policy."""
