# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits by calling the module repeatedly, and shows a line of progress after each interval."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, given_options, numbers

_MODULE = "ucm.capf.phone_operations_wait"
_DEFAULT_TIMEOUT = 1800
_MINIMUM_INTERVAL = 1
_DEFAULT_INTERVAL = 5
display = Display()


class ActionModule(ActionBase):
    """The action plugin of the module of this name; the module checks the arguments."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the last answer and the seconds that the task waited."""
        super().run(tmp, task_vars)
        begin = time.monotonic()
        line = LiveLine(display, "operations of phones")
        given = given_options(self._task.args)
        try:
            total = int(given.get("wait_timeout", _DEFAULT_TIMEOUT))
            interval = int(given.get("progress_interval", _DEFAULT_INTERVAL))
        except (TypeError, ValueError):
            total, interval = -1, 0
        if total < 0 or interval < _MINIMUM_INTERVAL:  # the module reports the option that is wrong
            return self._execute_module(_MODULE, given, task_vars=task_vars)
        while True:
            left = max(0, int(begin + total - time.monotonic()))
            arguments = dict(given, wait_timeout=left, progress_interval=interval)
            result = self._execute_module(_MODULE, arguments, task_vars=task_vars)
            left = max(0, int(begin + total - time.monotonic()))
            if result.get("failed"):
                return result
            counts = numbers(result["counts"])
            refused = len(result["refused_phones"])
            counts += f" ({refused} of them refused)" if refused else ""
            line.show(counts, f", time left {left} s")
            if result["ended"] or not left or self._task.check_mode:
                line.end()
                return dict(result, waited_seconds=int(time.monotonic() - begin))
