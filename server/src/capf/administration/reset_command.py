# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the configured command that asks the call processor to reset phones, without a shell (R28)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from capf.administration import commands
from capf.model import ConflictError

LOG = logging.getLogger(__name__)
_NAMES_AT_ONCE = 500


async def _at_once(_unused: Sequence[str]) -> None:
    """Return immediately."""


@dataclass(frozen=True, slots=True)
class Resetter:
    """Runs ``command`` once per phone, with ``{name}`` replaced; or once for many phones, with ``{names}`` expanded.

    ``ready`` is awaited first: the files that phones fetch must be in place before they are reset.
    """

    command: tuple[str, ...]
    parallel: int
    seconds: int
    ready: Callable[[Sequence[str]], Awaitable[None]] = _at_once
    gate: asyncio.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Let at most ``parallel`` commands run at once, for all requests together."""
        object.__setattr__(self, "gate", asyncio.Semaphore(self.parallel))

    def check(self) -> None:
        """Raise ConflictError if no reset command is configured."""
        if not self.command:
            raise ConflictError("no reset command is configured on this server ([reset] command)")

    async def reset(self, names: Sequence[str], goes_on: Callable[[], bool]) -> dict[str, str]:
        """Reset the phones; return the errors by device name. No command begins after ``goes_on`` was false."""
        self.check()
        await self.ready(names)
        size = _NAMES_AT_ONCE if "{names}" in self.command else 1
        batches = [names[start : start + size] for start in range(0, len(names), size)]
        faults = await asyncio.gather(*(self._run(batch, goes_on) for batch in batches))
        return {name: fault for batch, fault in zip(batches, faults, strict=True) if fault for name in batch}

    def _argv(self, names: Sequence[str]) -> list[str]:
        argv: list[str] = []
        for part in self.command:
            argv += names if part == "{names}" else [part.replace("{name}", names[0])]
        return argv

    async def _run(self, names: Sequence[str], goes_on: Callable[[], bool]) -> str:
        """Return the error, or an empty text."""
        async with self.gate:
            if not goes_on():
                return "it was not reset"
            return (await commands.run("reset command", self._argv(names), self.seconds)).problem
