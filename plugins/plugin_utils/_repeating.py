# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeats a module that waits for one interval, even through outages of the server and its database."""

from __future__ import annotations

import abc
import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, given_options

_DEFAULT_OUTAGE = 600
_DEFAULT_INTERVAL = 5
_PAUSE_SECONDS = 5


class RepeatingAction(ActionBase):
    """An action plugin whose module returns C(ended), and shows a line of progress after each interval.

    The module checks the arguments; so the first call fails if one of them is wrong.
    """

    TRANSFERS_FILES = False
    MODULE = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the last answer and the seconds that the task waited."""
        super().run(tmp, task_vars)
        given = given_options(self._task.args)
        begin = answered = time.monotonic()
        line = LiveLine(Display(), self.heading(given))
        while True:
            asked = time.monotonic()
            result = self._execute_module(self.MODULE, given, task_vars=task_vars)
            if result.get("failed"):
                away = time.monotonic() - answered
                if not result.get("unavailable") or away > float(given.get("outage_seconds", _DEFAULT_OUTAGE)):
                    return result
                line.show("the server is unreachable", f" for {away:.0f} s")
                time.sleep(_PAUSE_SECONDS)
                continue
            answered = time.monotonic()
            self.show(line, result)
            given = self.next_options(given, result)
            if self.has_ended(result) or self._task.check_mode:
                line.end()
                return dict(result, waited_seconds=int(time.monotonic() - begin))
            time.sleep(max(0.0, asked + float(given.get("progress_interval", _DEFAULT_INTERVAL)) - answered))

    @abc.abstractmethod
    def heading(self, given: dict[str, t.Any]) -> str:
        """Return the heading of the progress."""

    @abc.abstractmethod
    def show(self, line: LiveLine, result: dict[str, t.Any]) -> None:
        """Show the progress that an answer contains."""

    def next_options(self, given: dict[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the options of the next call, after this answer."""
        return given

    def has_ended(self, result: dict[str, t.Any]) -> bool:
        """Return whether an answer is the last one."""
        return bool(result["ended"])
