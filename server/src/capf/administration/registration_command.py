# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the call processor which phones are registered, with the configured command (P74)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from capf.administration import commands

LOG = logging.getLogger(__name__)
_NAMES_AT_ONCE = 500
_AT_LEAST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RegistrationCheck:
    """Runs ``command`` with device names as further arguments; it prints those that are not registered, one a line.

    ``interval``: the seconds between two checks.
    """

    command: tuple[str, ...] = ()
    interval: int = 10

    async def registered(self, names: Sequence[str]) -> list[str]:
        """Return the registered ones of these phones; none of those that a failed command was asked about."""
        found: list[str] = []
        for start in range(0, len(names), _NAMES_AT_ONCE):
            asked = names[start : start + _NAMES_AT_ONCE]
            seconds = max(self.interval, _AT_LEAST_SECONDS)
            ran = await commands.run("registration command", [*self.command, *asked], seconds)
            if ran.problem:
                LOG.error("event=registration-unknown error=%r", ran.problem)
                continue
            missing = set(ran.output.split())
            found += [name for name in asked if name not in missing]
        return found
