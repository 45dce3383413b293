# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of a waiting task, under its own heading.

A terminal has one line that is updated in place. Elsewhere there is a new line when the numbers change, and once a
minute.
"""

from __future__ import annotations

import sys
import time
import typing as t

from ansible.utils.display import Display

_WIDTH = 110
_SECONDS = 60


def given_options(args: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of a task that are set; null means not set."""
    return {name: value for name, value in args.items() if value is not None}


_ALWAYS = ("done", "failed", "in_flight")
_ELSE = ("waiting", "unreached", "skipped")


def numbers(counts: dict[str, int]) -> str:
    """Return the numbers of phones in each part of the rollout as a line of progress shows them."""
    shown = _ALWAYS + tuple(key for key in _ELSE if counts[key])
    return ", ".join("{} {}".format(key.replace("_", " "), counts[key]) for key in shown)


class LiveLine:
    """The progress of one task.

    The heading is shown with the first line, because the callback may show the task's own heading only when it ends.
    """

    def __init__(self, display: Display, heading: str) -> None:
        self._display = display
        self._heading = heading
        self._rewrites = sys.stdout.isatty()
        self._shown = ""
        self._again_at = 0.0

    def show(self, text: str, more: str = "", key: str = "") -> None:
        """Show the current progress: numbers, and what changes even if they do not.

        ``key``: what has to change for a new line, if it is not the text.
        """
        if not self._shown:
            self._display.banner(f"PROGRESS [{self._heading}]")
        if self._rewrites:
            line = f"{text}{more}"[:_WIDTH].ljust(_WIDTH)
            self._display.display(f"\r    {line}", newline=False)
        elif (key or text) != self._shown or time.monotonic() >= self._again_at:
            self._display.display(f"    {text}{more}")
            self._again_at = time.monotonic() + _SECONDS
        self._shown = key or text

    def end(self) -> None:
        """End the line and leave its last text on the terminal."""
        if self._rewrites and self._shown:
            self._display.display("")
