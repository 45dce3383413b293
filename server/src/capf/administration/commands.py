# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command of the site's, without a shell and for a limited time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

_ERROR_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, and why it failed; empty if it did not."""

    output: str
    problem: str = ""


async def run(what: str, argv: Sequence[str], seconds: float) -> Ran:
    """Run a command and kill it after ``seconds``; ``what`` is its name in the problem."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return Ran("", f"the {what} cannot be run: {error.strerror}")
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Ran("", f"the {what} took longer than {seconds:g} s")
    if process.returncode:
        said = errors.decode(errors="replace")[:_ERROR_CHARACTERS]
        return Ran("", f"the {what} ended with {process.returncode}: {said}")
    return Ran(output.decode(errors="replace"))
