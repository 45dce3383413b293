"""The running node: administration always, phones' files, and the CAPF service while it is activated (R24)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import BinaryIO

from capf import ctl, deadlines, files, state
from capf.accounts import Login
from capf.api.application import application
from capf.api.ctl_file import put_in_place
from capf.api.logins import Logins
from capf.api.running import SERVICE_CHANGE
from capf.backend import RegistryBackend
from capf.backup import making, staging
from capf.backup.making import Made
from capf.config import Settings
from capf.descriptors import Descriptors
from capf.folder import Folder
from capf.keystore import Keystore
from capf.listener import Limits, Listener
from capf.model import ConflictError, StoreUnavailableError
from capf.neighbours import Neighbours
from capf.publisher import Publisher
from capf.readiness import Readiness
from capf.registry import guessing, nodes, parameters, service, sessions, tokens, trace_settings
from capf.registry.context import Context, Policy
from capf.reset import Resetter
from capf.session import Patience
from capf.store.engine import Store
from capf.trace_files import TraceFiles
from capf.web import Web, tls_context

LOG = logging.getLogger(__name__)
_SECONDS_A_MINUTE = 60
_SECOND_SIGNAL, _NOT_IN_TIME = 1, 1
SECONDS_AFTER_THE_DRAIN = 10
"""How long everything else may take when the process ends; the unit allows more (roles/capf_server)."""


class Server:
    """One node; implements what the API asks of it."""

    def __init__(self, settings: Settings) -> None:
        """Open state and database; CapfError when either cannot be used."""
        directory = state.StateDirectory(settings.state_directory)
        self._settings = settings
        self._directory = directory
        self.keystore = Keystore(directory.path)
        self._lock = directory.lock()
        staging.sweep_at_start(directory.path)
        self.context = Context(
            authority=state.load_authority(directory),
            secrets=state.load_secrets(directory),
            clock=time.time,
            first_node=settings.first_node,
            trace_directory=directory.trace,
            token_directory=directory.tokens,
            node_name=settings.node_name,
            policy=Policy(
                settings.allow_expired_mic,
                settings.allow_sha1_mic,
                settings.require_sudi,
                settings.lock_seconds,
                settings.tries_per_operation,
                settings.wrong_strings_per_day,
            ),
            own_files=settings.own_directory,
            capf_servers=settings.capf_servers,
        )
        self.store = Store(settings.database)
        received = settings.tftp_directory or directory.files
        self.folder = Folder(directory.path if settings.first_node else received)
        tftp_directory = settings.tftp_directory if settings.first_node else None
        self._publisher = Publisher(self.store, self.context, self.folder, tftp_directory)
        self.resetter = Resetter(
            settings.reset_command, settings.reset_parallel, settings.reset_seconds, self._publisher.publish
        )
        self.trace = TraceFiles(directory.trace)
        self._logins = Logins(self.store)
        self.readiness = Readiness(self.store, self.context)
        self._backend = RegistryBackend(self.store, self.context)
        self._descriptors = Descriptors(
            settings.administration_maximum_connections, settings.files_maximum_connections, settings.reset_parallel
        )
        self._listener: Listener | None = None
        self._turn: int | None = None
        """Which activation or restart the running service is of."""

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many claims of phones were refused since the start, by cause."""
        return {cause.value: count for cause, count in self._backend.refusals.by_cause.items()}

    @property
    def sessions_open(self) -> int:
        """How many phones are connected now."""
        return 0 if self._listener is None else self._listener.sessions

    def reload_authority(self) -> None:
        """Take the keys and certificates as they are on disk now."""
        self.context.authority = self.keystore.authority()

    def ctl_file(self) -> ctl.CtlFile | None:
        """Return the CTL file that phones are given, None where there is none."""
        path = self._directory.path / ctl.FILE_NAME
        return ctl.read(path.read_bytes()) if path.exists() else None

    def back_up(self, passphrase: str | None) -> tuple[BinaryIO, Made]:
        """Return a backup of this node, in a file that the caller closes; None: a plain one."""
        return making.spool(self._settings, passphrase)

    async def login(self, administrator: str, password: str, address: str) -> Login:
        """Check the administrator's name and password."""
        return await self._logins.check(administrator, password, address)

    async def start_service(self) -> None:
        """Start the CAPF service with the parameters as they are now; nothing to do when it runs."""
        if self._listener is not None:
            return
        in_force, turn = await self.store.aread(lambda c: (parameters.stored(c), service.turn(c)))
        answer = in_force.number("Keep-Alive Between CAPF And Phone") * _SECONDS_A_MINUTE
        limits = Limits(
            self._settings.maximum_sessions,
            self._settings.maximum_sessions_per_address,
            self._settings.maximum_sessions_per_device,
            self._settings.handshake_seconds,
        )
        tls = state.capf_tls(self._directory, allow_tls_1_0=self._settings.allow_tls_1_0)
        patience = Patience(self._settings.authentication_seconds, answer)
        listener = Listener(self._backend, tls, limits, patience, self._descriptors.capf)
        addresses = self._settings.capf_addresses
        if in_force.flag("Enable IPv6"):
            addresses += self._settings.capf_addresses_ipv6
        port = in_force.number("CAPF Phone Port")
        try:
            await listener.start(addresses, port)
        except OSError as error:
            raise ConflictError(f"CAPF cannot listen on port {port}: {error.strerror}") from error
        self._listener, self._turn = listener, turn
        self.context.running = in_force
        LOG.info("event=capf-started addresses=%s port=%d", ",".join(addresses), port)

    async def stop_service(self) -> None:
        """Stop the CAPF service; open sessions may end first, within the drain time."""
        if self._listener is None:
            return
        await self._listener.stop(self._settings.drain_seconds)
        self._listener = self._turn = None
        self.context.running = None
        LOG.info("event=capf-stopped")

    async def follow(self) -> None:
        """Do what another server that shares the database was told: start, restart or stop CAPF, or make a CTL file."""
        async with SERVICE_CHANGE:
            turn = await self.store.aread(service.turn)
            if turn != self._turn:
                await self.stop_service()
            if turn is not None:
                await self.start_service()
        await put_in_place(self)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_or_exit, stop)
        self.trace.apply(await self.store.aread(trace_settings.stored))
        await self.store.awrite(lambda connection: sessions.recover(connection, self.context))
        await self.store.awrite(lambda connection: guessing.keep(connection, self.context))
        if self.context.first_node:
            await self._join_cluster()
        if await self.store.aread(service.is_activated):
            await self.start_service()
        neighbours = Neighbours(self.store, self.context, self.follow)
        work = (
            self._backend.give_back_forever(),
            self._backend.count_refusals_forever(),
            deadlines.run(self.store, self.context),
            self._backend.keep_guesses_forever(),
            self._publisher.run(),
            neighbours.run(),
            self.readiness.run(),
        )
        beside = [asyncio.create_task(item) for item in work]
        for task in beside:
            task.add_done_callback(partial(_stop_at_error, stop))
        web = [asyncio.create_task(self._administration(stop.wait))]
        if self._settings.files_enabled:
            web.append(asyncio.create_task(self._files(stop.wait)))
        _notify("READY=1")
        LOG.info("event=ready administration=%d", self._settings.administration_port)
        await asyncio.wait([*web, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        _notify("STOPPING=1")
        _end_at_the_latest(self._settings.drain_seconds + SECONDS_AFTER_THE_DRAIN)
        await self.stop_service()
        for task in beside:
            task.cancel()
        results = await asyncio.gather(*web, *beside, return_exceptions=True)
        with contextlib.suppress(StoreUnavailableError):
            await self._backend.count_refusals()
        self.store.close()
        LOG.info("event=stopped")
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _join_cluster(self) -> None:
        """Be the first node of the cluster: its entry, its security tokens, and its CTL file in place."""
        certificate = self._directory.administration_certificate.read_text()
        port = self._settings.administration_port
        await self.store.awrite(lambda c: nodes.register_first(c, self.context, port, certificate))
        await self.store.awrite(lambda c: tokens.make_missing(c, self.context))
        await self.store.aread(lambda c: tokens.sweep(c, self.context))
        await put_in_place(self)

    async def _administration(self, stopped: Callable[[], Awaitable[object]]) -> None:
        settings = self._settings
        web = Web(
            "administration",
            application(self, settings.administration_monitors),
            tls_context(str(self._directory.administration_certificate), str(self._directory.administration_key)),
            settings.administration_maximum_connections,
            settings.administration_maximum_connections_per_address,
            self._descriptors.administration,
        )
        await web.serve(settings.administration_addresses, settings.administration_port, stopped)

    async def _files(self, stopped: Callable[[], Awaitable[object]]) -> None:
        settings = self._settings
        web = Web(
            "files",
            files.application(self.store, self.context, settings.node_name, self.folder),
            None,
            settings.files_maximum_connections,
            settings.files_maximum_connections_per_address,
            self._descriptors.files,
        )
        await web.serve(settings.files_addresses, settings.files_port, stopped)


def _stop_at_error(stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    """End the process, which is started again, where work beside the sessions ends that nobody would miss."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        LOG.critical("event=ends-by-error", exc_info=error)
        stop.set()


def _stop_or_exit(stop: asyncio.Event) -> None:
    """End politely at the first signal, at once at the second."""
    if stop.is_set():
        os._exit(_SECOND_SIGNAL)
    stop.set()


def _end_at_the_latest(seconds: float) -> None:
    """See to it that the process ends, whatever still hangs: a database, a disk."""
    last = threading.Timer(seconds, os._exit, (_NOT_IN_TIME,))
    last.daemon = True
    last.start()


def _notify(message: str) -> None:
    """Tell systemd, where it started us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.send(message.encode())
