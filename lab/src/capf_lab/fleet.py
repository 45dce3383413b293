# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of simulated phones in one process, and the people who enter authentication strings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from capf_lab import csvfile
from capf_lab.behaviour import Behaviour
from capf_lab.menus import UNLOCK, Menus
from capf_lab.network import FilesServers
from capf_lab.phone import Phone, fleet_summary

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_WAY_TO_PROMPT = ("Settings", UNLOCK, "Security Configuration", "LSC", "Update")


class Fleet:
    """The phones by name; each runs as at most one task."""

    def __init__(self, phones: Sequence[Phone]) -> None:
        self.phones: Mapping[str, Phone] = {phone.name: phone for phone in phones}
        self._running: dict[str, asyncio.Task[None]] = {}

    def reset(self, names: Sequence[str]) -> list[str]:
        """Reset phones, in any state; return the names that are not in this lab."""
        unknown = []
        for name in names:
            phone = self.phones.get(name)
            if phone is None:
                unknown.append(name)
                continue
            running = self._running.get(name)
            if running is not None:
                running.cancel()
            task = asyncio.create_task(phone.start(), name=name)
            task.add_done_callback(self._ended)
            self._running[name] = task
        return unknown

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._running.get(task.get_name()) is task:
            del self._running[task.get_name()]
        if not task.cancelled() and task.exception() is not None:
            LOG.error("device=%s event=phone-error", task.get_name(), exc_info=task.exception())

    def move(self, names: Sequence[str], files: FilesServers) -> list[str]:
        """Change the files server of phones from their next start on; return the names that are not in this lab."""
        for name in names:
            if name in self.phones:
                self.phones[name].move(files)
        return [name for name in names if name not in self.phones]

    def unregistered(self, names: Sequence[str]) -> list[str]:
        """Return the phones among these that are not registered with call processing now."""
        phones = (self.phones.get(name) for name in names)
        return [name for name, phone in zip(names, phones, strict=True) if phone is None or not phone.is_registered]

    def press(self, name: str, keys: Sequence[str]) -> str:
        """Press keys on a phone, beginning at its home screen; return what it finally shows."""
        menus = Menus(self.phones[name])
        shown = menus.show()
        for key in keys:
            shown = menus.press(key)
        return shown

    async def people(self, path: Path | None) -> None:
        """Simulate the people who enter the authentication strings of the list on the phones, repeatedly."""
        given: dict[str, str] = {}
        seen = -1.0
        while path is not None:
            changed = await asyncio.to_thread(_modified, path)
            if changed != seen:
                seen, given = changed, await asyncio.to_thread(_strings, path)
            for phone in [phone for phone in self.phones.values() if phone.waits_for_string]:
                self._type(phone, given.get(phone.name, ""))
            await asyncio.sleep(_LOOK_SECONDS)

    def _type(self, phone: Phone, authentication_string: str) -> None:
        if not authentication_string:
            return
        if phone.behaviour is Behaviour.WRONG_STRING:
            authentication_string = mistyped(authentication_string)
        self.press(phone.name, (*_WAY_TO_PROMPT, *authentication_string, "Submit"))

    def status(self) -> dict[str, object]:
        """Return the messages of the phones, and the registration, LSC, sessions and last start of each phone."""
        return {
            "messages": fleet_summary(list(self.phones.values())),
            "phones": {
                phone.name: {
                    "message": phone.message,
                    "registration": phone.registration.value,
                    "lsc": phone.flash.has_lsc,
                    "attempts": phone.attempts,
                    "steps": phone.steps,
                }
                for phone in self.phones.values()
            },
        }

    async def stop(self) -> None:
        """Switch every phone off."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def mistyped(authentication_string: str) -> str:
    """Return the string with a wrong first digit."""
    return str((int(authentication_string[0]) + 1) % 10) + authentication_string[1:]


def _strings(path: Path) -> dict[str, str]:
    """Return the strings that people enter; none if the list contains an invalid one."""
    try:
        return csvfile.strings(path)
    except csvfile.CsvError as error:
        LOG.error("event=strings-refused problem=%r", str(error))
        return {}


def _modified(path: Path) -> float:
    """Return a number that changes when any of the files changes."""
    total = 0.0
    for file in csvfile.string_files(path):
        try:
            total += file.stat().st_mtime
        except FileNotFoundError:
            continue
    return total
