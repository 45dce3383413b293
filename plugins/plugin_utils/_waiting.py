# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of a waiting task: one line that is updated in place on a terminal, and a new line each time elsewhere."""

from __future__ import annotations

import sys
import typing as t

from ansible.utils.display import Display

_WIDTH = 110


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
    """The progress line of one task."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._rewrites = sys.stdout.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Show the current progress."""
        self._shown = True
        if self._rewrites:
            self._display.display(f"\r    {text[:_WIDTH].ljust(_WIDTH)}", newline=False)
        else:
            self._display.display(f"    {text}")

    def end(self) -> None:
        """End the line and leave its last text on the terminal."""
        if self._rewrites and self._shown:
            self._display.display("")
