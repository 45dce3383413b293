# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every business rule needs: the signer, the secrets, the clock, and the parameters in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from capf.certificates.authority import Authority, key_id
from capf.certificates.secretbox import SecretBox
from capf.certificates.signatures import FoundKey, KeptSignatures
from capf.model import Fault
from capf.registry import parameters
from capf.registry.elapsed import Elapsed

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Policy:
    """Explicit settings for what the server accepts from phones.

    ``lock_seconds`` is the duration of the first lock of a phone for an address after ten wrong strings,
    ``tries_per_operation`` the number of wrong strings that an address may send for one operation, and
    ``wrong_strings_per_day`` the number for all phones in any 24 hours.
    """

    allow_expired_mic: bool = False
    allow_sha1_mic: bool = False
    require_sudi: bool = False
    lock_seconds: int = 600
    tries_per_operation: int = 100
    wrong_strings_per_day: int = 200


@dataclass(slots=True)
class Context:
    """Shared by the parts of the registry; ``running`` is None while the CAPF service does not run.

    ``own_files`` is the directory of the administrator's own phone configuration files; ``capf_servers`` are the
    CAPF servers that phones try one after the other, if there are several. ``elapsed`` is the clock of locks, and
    ``guesses_added`` the number of rows that this server has added to ``store.guesses`` since it last counted them.
    """

    authority: Authority
    secrets: SecretBox
    clock: Clock
    first_node: bool
    trace_directory: Path
    token_directory: Path
    running: parameters.InForce | None = None
    node_name: str = "127.0.0.1"
    policy: Policy = Policy()
    own_files: Path | None = None
    capf_servers: tuple[str, ...] = ()
    elapsed: Elapsed = field(default_factory=Elapsed)
    guesses_added: int = 0
    why_not_listen: parameters.WhyNotListen = parameters.nothing_hinders
    faults: list[Fault] = field(default_factory=list)
    """The faults of the files in the state directory, found at the start."""
    troubles: dict[str, Fault] = field(default_factory=dict)
    """The faults of background work and of the start, by the work that has stopped."""
    signatures: KeptSignatures = field(default_factory=KeptSignatures)
    """The signatures of phones' files that were made since the start."""
    file_signer: FoundKey | None = None
    """The key that signs phones' files, as ``registry.file_signer`` found it last."""
    why_stopped: str = ""
    """Why an activated CAPF is not running."""

    @property
    def now(self) -> int:
        """Return the current time in epoch seconds."""
        return int(self.clock())

    @property
    def holder(self) -> str:
        """Return the name under which this server holds operations; two servers may share one database."""
        return f"{self.authority.key_id} {self.node_name}"

    @property
    def holders(self) -> list[str]:
        """Return the names under which this server holds or has held operations: its key may have been renewed."""
        return [f"{key_id(certificate)} {self.node_name}" for certificate in self.authority.lsc_issuers]

    def in_force(self, connection: Connection) -> parameters.InForce:
        """Return the parameters in force, or those that will be when the service starts."""
        return self.running or parameters.stored(connection)
