# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of the running node that the use cases need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from capf.administration.backup.making import MadeBackup
from capf.administration.logins import Logins
from capf.administration.readiness import Readiness
from capf.administration.reset_command import Resetter
from capf.administration.service_control import CapfService
from capf.certificates.ctl import CtlFile
from capf.certificates.keystore import Keystore
from capf.cluster.delivery import Credentials
from capf.node.trace_files import TraceFiles
from capf.phone_files.folder import Folder
from capf.registry.context import Context
from capf.store.engine import Store


class Watched(Protocol):
    """The running rollouts, as far as doors need them."""

    def watched(self, rollout_id: int, credentials: Credentials) -> None:
        """Keep the credentials of the run that watches a rollout."""


class Node(Protocol):
    """The running server, as seen by the use cases and the doors."""

    store: Store
    context: Context
    service: CapfService
    logins: Logins
    resetter: Resetter
    keystore: Keystore
    folder: Folder
    trace: TraceFiles
    readiness: Readiness

    @property
    def rollouts(self) -> Watched: ...
    @property
    def refusals(self) -> Mapping[str, int]: ...
    def reload_authority(self) -> None: ...
    def ctl_file(self) -> CtlFile | None: ...
    def back_up(self, passphrase: str | None) -> tuple[BinaryIO, MadeBackup]: ...
