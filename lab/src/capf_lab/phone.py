# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life cycle of a simulated phone: start, files, registration, CAPF, retries (R5, R6, R9, R10, R33)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from capf.certificates import ctl
from capf.phone_session.wire import Message
from capf_lab import cnf_xml, network
from capf_lab.behaviour import Behaviour
from capf_lab.cnf_xml import NON_SECURE, Configuration
from capf_lab.conversation import Conversation, KeyGeneration
from capf_lab.credentials import MODE_NONE, MODE_STRING, PHONE_VERSION, SOFTPHONE_VERSION, auth_response
from capf_lab.dialogue import Result
from capf_lab.flash import Flash

LOG = logging.getLogger(__name__)
RETRIES = 3
RETRY_SECONDS = 30.0
"""After a communication failure, the phone retries three times at intervals of 30 seconds (R5)."""
_DESK_PHONES = ("SEP", "ATA")


class Registration(StrEnum):
    """Whether the phone is registered with call processing, and how."""

    NONE = "not registered"
    NON_SECURE = "registered, non-secure"
    AUTHENTICATED = "registered, authenticated"
    ENCRYPTED = "registered, encrypted"


_REGISTRATIONS = {1: Registration.NON_SECURE, 2: Registration.AUTHENTICATED, 3: Registration.ENCRYPTED}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings that all phones of a lab share."""

    files: network.FilesServers
    generation: KeyGeneration
    slow_generation: KeyGeneration
    retry_seconds: float = RETRY_SECONDS


class Phone:
    """A phone; ``start`` runs at power-on and at every reset."""

    def __init__(
        self,
        name: str,
        flash: Flash,
        around: Surroundings,
        behaviour: Behaviour = Behaviour.NORMAL,
        addresses: network.PhoneAddresses = network.BOTH,
    ) -> None:
        self.name = name
        self.flash = flash
        self.behaviour = behaviour
        self.registration = Registration.NONE
        self.message = "off"
        self.attempts = 0
        self.steps: list[str] = []
        """The steps of the phone since its start, in order."""
        self._around = around
        self._addresses = addresses
        self._configuration = Configuration()
        self._string: asyncio.Future[str] | None = None
        self._stop = asyncio.Event()
        self._connection_lost = False

    @property
    def waits_for_string(self) -> bool:
        """Whether somebody has to enter the authentication string."""
        return self._string is not None and not self._string.done()

    @property
    def is_registered(self) -> bool:
        """Whether the phone is registered with call processing, in any mode."""
        return self.registration is not Registration.NONE

    def enter_string(self, authentication_string: str) -> bool:
        """Submit an authentication string; False if the phone does not ask for one (R31)."""
        if self._string is None or self._string.done():
            return False
        self._string.set_result(authentication_string)
        return True

    def move(self, files: network.FilesServers) -> None:
        """Use other files servers from the next start on, as after a move to another cluster (R19)."""
        self._around = replace(self._around, files=files)

    def stop(self) -> None:
        """Choose Stop: the user ends the operation at any time (R7, R31)."""
        self._stop.set()

    async def start(self) -> None:
        """Start up: fetch the files, register, and run a CAPF session if one is due."""
        self.registration = Registration.NONE
        self._stop = asyncio.Event()
        if self.behaviour is Behaviour.OFFLINE:
            return
        self.message, self.steps = "starting", []
        await self._load_ctl()
        self._configuration = await self._load_configuration()
        if self._configuration.security_mode == NON_SECURE:
            self._register()
        if self._is_due():
            await self._enrol()
        else:
            self.message = "ready"
        if self._configuration.security_mode != NON_SECURE:
            self._register()

    def _is_due(self) -> bool:
        """Return whether an operation waits, or the certificate on the phone differs from that of call processing."""
        if self._configuration.authentication_mode != MODE_NONE:
            return True
        held = self.flash.lsc or self.flash.mic
        own = "" if held is None else held.certificate.fingerprint(hashes.MD5()).hex()  # noqa: S303 - as phones do
        return self._configuration.certificate_hash not in ("", own)

    async def _load_ctl(self) -> None:
        """Install a new CTL file if a security token that the phone trusts has signed it."""
        names = (f"CTL{self.name}.tlv", ctl.FILE_NAME)
        for name in names:
            fetched = await self._around.files.fetch(self._addresses, name)
            if fetched is None:
                continue
            try:
                ctl.read(fetched.data).signer(self._tokens())
            except ctl.CtlError as error:
                LOG.warning("device=%s event=ctl-refused error=%r", self.name, str(error))
                self.steps.append(f"CTL file by {fetched.by}, refused")
            else:
                self.flash.store_ctl(fetched.data)
                self.steps.append(f"CTL file by {fetched.by}")
            return

    def _tokens(self) -> list[x509.Certificate] | None:
        held = self.flash.ctl
        return None if held is None or self.flash.ctl_is_the_labs else ctl.read(held).certificates(ctl.Role.SAST)

    async def _load_configuration(self) -> Configuration:
        """Fetch the configuration; without it, continue with the unfinished operation that flash keeps (R6)."""
        fetched = await self._around.files.fetch(self._addresses, f"{self.name}.cnf.xml")
        loaded = None if fetched is None else cnf_xml.parse(fetched.data)
        if fetched is not None and loaded is not None:
            self.steps.append(f"configuration by {fetched.by}")
            return loaded
        kept = self.flash.unfinished
        return Configuration() if kept is None else Configuration.from_flash(kept)

    def _register(self) -> None:
        """Register with the mode of the configuration; a secure device needs its LSC or MIC (R9, R10)."""
        mode = self._configuration.security_mode
        if mode == NON_SECURE or self.flash.has_lsc or self.flash.mic is not None:
            self.registration = _REGISTRATIONS.get(mode, Registration.NONE)
            self.steps.append(self.registration.value)

    async def _enrol(self) -> None:
        """Carry out the operation that waits for this phone."""
        mode = self._configuration.authentication_mode
        string = ""
        if mode == MODE_STRING:
            missing = self.missing_for_string()
            if missing:
                self.message = f"CAPF is not possible: {missing}"
                return
            string = await self._ask_string()
            if self._stop.is_set():
                self.message = Result.STOPPED.value
                return
        self.flash.begin(self._configuration.kept())
        self.message = "pending"
        result = await self._sessions(string)
        self.message = result.value
        self.steps.append(result.value)
        if result is not Result.LOST:
            self.flash.finish()

    def missing_for_string(self) -> str:
        """Return what is missing before a string can be entered, empty if nothing is (R33)."""
        if not self._trusted():
            return "no CAPF certificate in the CTL file"
        if self.registration is not Registration.NON_SECURE:
            return "the device is not registered"
        return ""

    async def _ask_string(self) -> str:
        self._string = asyncio.get_running_loop().create_future()
        self.message = "enter the authentication string"
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {self._string, stop}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return self._string.result() if self._string.done() else ""
        finally:
            stop.cancel()
            self._string = None

    def _trusted(self) -> list[x509.Certificate]:
        held = self.flash.ctl
        return [] if held is None else ctl.read(held).certificates(ctl.Role.CAPF)

    async def _sessions(self, string: str) -> Result:
        """Try, and retry three times after a communication failure, at intervals of 30 seconds (R5)."""
        result = Result.LOST
        for attempt in range(1 + RETRIES):
            if attempt:
                await self._pause()
            if self._stop.is_set():
                return Result.STOPPED
            self.attempts += 1
            result = await self._any_server(string)
            if result not in (Result.LOST, Result.RETRY_LATER):
                return result
        return result

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), self._around.retry_seconds)
        except TimeoutError:
            return

    async def _any_server(self, string: str) -> Result:
        """Try the CAPF servers in order, each on the addresses that this phone can use (R12)."""
        trusted = self._trusted()
        addresses = replace(self._addresses, mode=self._configuration.ip_mode)
        for name, port in self._configuration.servers:
            for address in network.to_try(addresses, *await network.resolve(name)):
                try:
                    reader, writer = await network.connect(address, port, trusted)
                except (OSError, TimeoutError) as error:
                    LOG.info("device=%s event=connect-failed address=%s error=%r", self.name, address, str(error))
                    continue
                return await self._converse(reader, writer, string)
        return Result.LOST

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, string: str) -> Result:
        slow = self.behaviour is Behaviour.SLOW
        lose = self.behaviour is Behaviour.LOSSY and not self._connection_lost
        self._connection_lost = self._connection_lost or lose
        generation = self._around.slow_generation if slow else self._around.generation
        conversation = Conversation(reader, writer, generation, self._stop, lose_connection=lose)
        return await conversation.run(self.flash, lambda session_id: self._response(session_id, string))

    def _response(self, session_id: int, string: str) -> Message:
        version = PHONE_VERSION if self.name.startswith(_DESK_PHONES) else SOFTPHONE_VERSION
        mode = self._configuration.authentication_mode
        return auth_response(self.name, session_id, self.flash, mode, string, version)


def fleet_summary(phones: Sequence[Phone]) -> dict[str, int]:
    """Return the number of phones by message."""
    counts: dict[str, int] = {}
    for phone in phones:
        counts[phone.message] = counts.get(phone.message, 0) + 1
    return dict(sorted(counts.items()))
