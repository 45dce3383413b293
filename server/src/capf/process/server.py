# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running node: administration, phones' files, and the CAPF service while it is activated (R24)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import BinaryIO

from capf.administration import ctl_files, tracing
from capf.administration.backup import making, staging
from capf.administration.backup.making import MadeBackup
from capf.administration.logins import Logins
from capf.administration.readiness import Readiness
from capf.administration.registration_command import RegistrationCheck
from capf.administration.requests import read
from capf.administration.reset_command import Resetter
from capf.administration.rollout_runner import RolloutRunner
from capf.administration.service_control import CapfService
from capf.api.application import application
from capf.certificates import ctl
from capf.certificates.keystore import Keystore
from capf.cluster.other_servers import OtherServers
from capf.model import CapfError, DamagedError, Fault, StoreUnavailableError, words_of
from capf.network.descriptors import Descriptors
from capf.node import ports, record_context, state
from capf.node.node_settings import NodeSettings
from capf.node.trace_files import TraceFiles
from capf.phone_files import http_server
from capf.phone_files.folder import Folder
from capf.phone_files.publisher import Publisher
from capf.process import expiry
from capf.process.session_record import RegistryBackend
from capf.process.web import Web, tls_context
from capf.registry import ctl_file, file_signer, guessing, nodes, sessions, strings_key, tokens
from capf.registry.transaction import Transaction
from capf.store.engine import Store

LOG = logging.getLogger(__name__)
_SECOND_SIGNAL, _NOT_IN_TIME = 1, 1
_TRY_AGAIN_SECONDS, _SETTLED_SECONDS = 5.0, 10.0
"""The pause before failed background work restarts, and how long it has to run until it counts as recovered."""
SECONDS_AFTER_THE_DRAIN = 10
"""Seconds for everything else when the process ends; the unit allows more (roles/capf_server)."""


class Server:
    """One node; implements the interface that the API requires."""

    def __init__(self, settings: NodeSettings) -> None:
        """Open state and database; CapfError if either cannot be used."""
        directory = state.StateDirectory(settings.state_directory)
        self._settings = settings
        self._directory = directory
        self.keystore = Keystore(directory.path)
        self._lock = directory.lock()
        state.check_administration(directory)
        staging.sweep_at_start(directory.path)
        loaded = state.load(directory)
        self.context = record_context.make(settings, directory, loaded)
        self.store = Store(settings.database)
        received = settings.tftp_directory or directory.files
        self.folder = Folder(directory.path if settings.first_node else received)
        tftp_directory = settings.tftp_directory if settings.first_node else None
        self._publisher = Publisher(self.store, self.context, self.folder, tftp_directory)
        self.resetter = Resetter(
            settings.reset_command, settings.reset_parallel, settings.reset_seconds, self._publisher.publish
        )
        self.trace = TraceFiles(directory.trace)
        self.logins = Logins(self.store)
        self.readiness = Readiness(self.store, self.context)
        self.rollouts = RolloutRunner(
            self, RegistrationCheck(settings.registration_command, settings.registration_interval)
        )
        self._backend = RegistryBackend(self.store, self.context)
        self._descriptors = Descriptors(
            settings.administration_maximum_connections, settings.files_maximum_connections, settings.reset_parallel
        )
        self.service = CapfService(
            settings, self.store, self.context, self._backend, self._descriptors.capf, notice=self._lock
        )

    @property
    def refusals(self) -> Mapping[str, int]:
        """The number of refused claims of phones since the start, by cause."""
        return {cause.value: count for cause, count in self._backend.refusals.by_cause.items()}

    def reload_authority(self) -> None:
        """Reload the keys and certificates from disk."""
        loaded = state.load(self._directory)
        self.context.authority, self.context.faults = loaded.authority, loaded.faults

    def ctl_file(self) -> ctl.CtlFile | None:
        """Return the CTL file for phones, None if there is none; DamagedError if it cannot be read."""
        path = self._directory.path / ctl.FILE_NAME
        try:
            return ctl.read(path.read_bytes()) if path.exists() else None
        except (ctl.CtlError, OSError) as error:
            todo = "restart the server, which writes the latest one again"
            raise DamagedError(Fault(str(path), words_of(error), todo)) from None

    def back_up(self, passphrase: str | None) -> tuple[BinaryIO, MadeBackup]:
        """Return a backup of this node, in a file that the caller closes; None: a plain one."""
        return making.spool(self._settings, passphrase)

    def close(self) -> None:
        """Close the database and the trace files, and release the lock on the state directory."""
        self.store.close()
        self.trace.close()
        self._lock.close()

    async def follow(self) -> None:
        """Follow another server that shares the database: start, restart or stop CAPF, or make a CTL file."""
        await self.service.follow()
        await ctl_files.put_in_place(self)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_or_exit, stop)
        settings = self._settings
        ports.check_free("administration", settings.administration_addresses, settings.administration_port)
        await self.begin()
        beside = [asyncio.create_task(self._go_on(name, job, stop)) for name, job in self._work().items()]
        web = [asyncio.create_task(self._administration(stop.wait))]
        ends = [*web, asyncio.create_task(stop.wait())]
        if self._settings.files_enabled:
            serving = partial(self._files, stop.wait)
            web.append(asyncio.create_task(self._go_on("serving files to phones", serving, stop)))
        _notify("READY=1")
        LOG.info("event=ready administration=%d", self._settings.administration_port)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        _notify("STOPPING=1")
        _end_at_the_latest(self._settings.drain_seconds + SECONDS_AFTER_THE_DRAIN)
        await self.service.stop()
        for task in beside:
            task.cancel()
        results = await asyncio.gather(*web, *beside, return_exceptions=True)
        with contextlib.suppress(StoreUnavailableError):
            await self._backend.count_refusals()
        self.close()
        LOG.info("event=stopped")
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _work(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the background work: its failures are always noticed, and none of them ends the process."""
        return {
            "releasing operations of lost sessions": self._backend.give_back_forever,
            "counting refused phones": self._backend.count_refusals_forever,
            "keeping wrong strings counted": self._backend.keep_guesses_forever,
            "ending operations at their deadline": partial(expiry.run, self.store, self.context),
            "running rollouts": self.rollouts.run if self.context.first_node else _nothing,
            "publishing to the TFTP server": self._publisher.run,
            "keeping in step with other servers": OtherServers(self.store, self.context, self.follow).run,
            "checking whether the node is ready": self.readiness.run,
            "keeping CAPF running": self.service.keep_running,
        }

    async def _go_on(self, name: str, job: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Run background work; if it fails, log the error and restart it after a pause."""
        troubles, loop = self.context.troubles, asyncio.get_running_loop()
        while not stop.is_set():
            settled = loop.call_later(_SETTLED_SECONDS, troubles.pop, name, None)
            try:
                await job()
                return
            except Exception as error:
                said = words_of(error)
                if name not in troubles or troubles[name].problem != said:
                    unexpected = None if isinstance(error, CapfError | OSError) else error
                    LOG.critical("event=work-failed work=%r error=%r", name, said, exc_info=unexpected)
                troubles[name] = Fault(name, said, "the server retries automatically; see its log for details")
            finally:
                settled.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TRY_AGAIN_SECONDS)

    async def begin(self) -> None:
        """Run the steps of every start. A step that fails is reported and does not affect the others."""
        await self._step("trace files", lambda: tracing.apply(self))
        await self._step("operations of lost sessions", lambda: self._write(sessions.recover))
        await self._step("counted wrong strings", lambda: self._write(guessing.keep))
        if self.context.first_node:
            await self._step("strings.key", lambda: self._write(strings_key.keep_first_check))
            await self._step("the cluster's first node", self._register)
            await self._step("security tokens", lambda: self._write(tokens.make_missing))
            await self._step("the signer of phones' files", lambda: self._write(file_signer.make_missing))
            await self._step("security tokens", lambda: read(self, ctl_file.sweep_keys))
            await self._step("the CTL file", lambda: ctl_files.put_in_place(self))
        await self.service.follow()

    async def _step(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        try:
            await step()
        except StoreUnavailableError:
            raise
        except Exception as error:
            unexpected = None if isinstance(error, CapfError | OSError) else error
            LOG.error("event=start-step-failed step=%r error=%r", name, str(error), exc_info=unexpected)
            if not isinstance(error, DamagedError):
                said = words_of(error)
                self.context.troubles[f"start: {name}"] = Fault(f"start: {name}", said, "see the log, and restart")

    async def _write(self, job: Callable[[Transaction], object]) -> None:
        await self.store.awrite(lambda connection: job(Transaction(connection, self.context)))

    async def _register(self) -> None:
        """Update the first node's entry in the cluster with this node's settings."""
        certificate = self._directory.administration_certificate.read_text()
        port = self._settings.administration_port
        await self.store.awrite(lambda c: nodes.register_first(Transaction(c, self.context), port, certificate))

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
        ports.check_free("files", settings.files_addresses, settings.files_port)
        web = Web(
            "files",
            http_server.application(self.store, self.context, settings.node_name, self.folder, self.rollouts.seen),
            None,
            settings.files_maximum_connections,
            settings.files_maximum_connections_per_address,
            self._descriptors.files,
        )
        await web.serve(settings.files_addresses, settings.files_port, stopped)


async def _nothing() -> None:
    """Do no work: a subscriber runs no rollouts."""


def _stop_or_exit(stop: asyncio.Event) -> None:
    """Shut down gracefully on the first signal, and immediately on the second."""
    if stop.is_set():
        os._exit(_SECOND_SIGNAL)
    stop.set()


def _end_at_the_latest(seconds: float) -> None:
    """Make sure that the process ends, even if a database or a disk hangs."""
    last = threading.Timer(seconds, os._exit, (_NOT_IN_TIME,))
    last.daemon = True
    last.start()


def _notify(message: str) -> None:
    """Notify systemd if it started this process."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.send(message.encode())
