# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits for a wave, shows its progress, and lists the phones whose string was not entered yet."""

from __future__ import annotations

import os
import typing as t

from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute
from ansible_collections.ucm.capf.plugins.plugin_utils._repeating import RepeatingAction
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, numbers

_SHOWN = 3
display = Display()


class ActionModule(RepeatingAction):
    """The action plugin of the module of this name; the module checks the arguments."""

    MODULE = "ucm.capf.rollout_wait"

    def heading(self, given: dict[str, t.Any]) -> str:
        """Return the heading of the progress."""
        return "wave {} of the rollout {}".format(given.get("number"), given.get("name"))

    def show(self, line: LiveLine, result: dict[str, t.Any]) -> None:
        """Show the numbers of the wave."""
        line.show(*_progress(result))

    def next_options(self, given: dict[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Update the list of phones that wait, and return the same options."""
        self._list(given.get("not_entered_file"), result["waiting_for_string"])
        return given

    def _list(self, given: str | None, names: list[str]) -> None:
        """Update the list of phones that still wait for their string; it contains no strings, and no wave depends on
        it."""
        if not given or self._task.check_mode:
            return
        path = absolute(given)
        unfinished = path + ".new"
        try:
            with open(unfinished, "w", encoding="utf-8", opener=_for_its_owner) as handle:
                handle.write("".join(name + "\n" for name in names))
            os.replace(unfinished, path)
        except OSError as error:
            display.warning(f"not_entered_file: {path!r} cannot be written: {error.strerror}")


def _for_its_owner(path: str, flags: int) -> int:
    """Open a file that only its owner can read, as all files of a rollout."""
    return os.open(path, flags, 0o600)


def _progress(result: dict[str, t.Any]) -> tuple[str, str]:
    """Return the numbers, and the rate, the time left, and the phones whose string was not entered."""
    counts = numbers(result["counts"])
    line = ", {} a minute, time left {} s".format(result["phones_a_minute"], result["seconds_left"])
    missing = result["waiting_for_string"]
    if not missing:
        return counts, line
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return counts, "{}, string not entered: {}{}".format(line, ", ".join(missing[:_SHOWN]), more)
