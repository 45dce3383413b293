# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a waiting task shows that it lives: one line that is kept up to date on a terminal, line by line elsewhere."""

from __future__ import annotations

import sys
import typing as t

from ansible.utils.display import Display

_WIDTH = 110


def given_options(args: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of a task that are set: null is none."""
    return {name: value for name, value in args.items() if value is not None}


_ALWAYS = ("done", "failed", "in_flight")
_ELSE = ("waiting", "unreached", "skipped")


def numbers(counts: dict[str, int]) -> str:
    """Return numbers of phones by part as a line of progress has them."""
    shown = _ALWAYS + tuple(key for key in _ELSE if counts[key])
    return ", ".join("{} {}".format(key.replace("_", " "), counts[key]) for key in shown)


class LiveLine:
    """The line of progress of one task."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._rewrites = sys.stdout.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Show how far it is now."""
        self._shown = True
        if self._rewrites:
            self._display.display(f"\r    {text[:_WIDTH].ljust(_WIDTH)}", newline=False)
        else:
            self._display.display(f"    {text}")

    def end(self) -> None:
        """Leave the last text where it is."""
        if self._rewrites and self._shown:
            self._display.display("")
