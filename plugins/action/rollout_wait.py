# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits for a wave by calling the module repeatedly, even through outages of the server and its database."""

from __future__ import annotations

import os
import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, given_options, numbers

_MODULE = "ucm.capf.rollout_wait"
_DEFAULT_OUTAGE = 600
_PAUSE_SECONDS = 5
_SHOWN = 3
display = Display()


class ActionModule(ActionBase):
    """The action plugin of the module of this name; the module checks the arguments."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the last answer and the seconds that the task waited."""
        super().run(tmp, task_vars)
        given = given_options(self._task.args)
        begin = answered = time.monotonic()
        line = LiveLine(display, "wave {} of the rollout {}".format(given.get("number"), given.get("name")))
        while True:
            result = self._execute_module(_MODULE, given, task_vars=task_vars)
            if result.get("failed"):
                away = time.monotonic() - answered
                if not result.get("unavailable") or away > self._outage(given):
                    return result
                line.show("the server is unreachable", f" for {away:.0f} s")
                time.sleep(_PAUSE_SECONDS)
                continue
            answered = time.monotonic()
            line.show(*_progress(result))
            self._list(given.get("not_entered_file"), result["waiting_for_string"])
            if result["ended"] or self._task.check_mode:
                line.end()
                return dict(result, waited_seconds=int(time.monotonic() - begin))

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

    @staticmethod
    def _outage(given: dict[str, t.Any]) -> float:
        return float(given.get("outage_seconds", _DEFAULT_OUTAGE))


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
