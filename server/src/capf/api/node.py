"""What the routes ask of the running node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from capf.administration.backup.making import Made
from capf.administration.logins import Login
from capf.administration.readiness import Readiness
from capf.administration.resets import Resetter
from capf.certificates.ctl import CtlFile
from capf.certificates.keystore import Keystore
from capf.node.trace_files import TraceFiles
from capf.phone_files.folder import Folder
from capf.registry.context import Context
from capf.store.engine import Store


class Node(Protocol):
    """The running server, as the API sees it."""

    store: Store
    context: Context
    resetter: Resetter
    keystore: Keystore
    folder: Folder
    trace: TraceFiles
    readiness: Readiness

    @property
    def refusals(self) -> Mapping[str, int]: ...
    @property
    def sessions_open(self) -> int: ...
    def reload_authority(self) -> None: ...
    def ctl_file(self) -> CtlFile | None: ...
    def back_up(self, passphrase: str | None) -> tuple[BinaryIO, Made]: ...
    async def login(self, administrator: str, password: str, address: str) -> Login: ...
    async def check_service(self) -> None: ...
    async def accept_strings_key(self, actor: str) -> None: ...
    async def start_service(self) -> None: ...
    async def stop_service(self) -> None: ...
