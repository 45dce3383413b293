# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Begins a rollout. While another run leads it, waits for that rollout by its id and never begins a different one."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, given_options

_MODULE = "ucm.capf.rollout"
_LED_BY_ANOTHER = "led_by_another"
_PAUSE_SECONDS = 5
display = Display()


class ActionModule(ActionBase):
    """The action plugin of the module of this name; the module checks the arguments."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result once no other run leads the rollout, or the time is up."""
        super().run(tmp, task_vars)
        given = given_options(self._task.args)
        until = time.monotonic() + _seconds(given)
        line = LiveLine(display, "waiting for the run that leads the rollout {}".format(given.get("name")))
        while True:
            result = self._execute_module(_MODULE, given, task_vars=task_vars)
            left = until - time.monotonic()
            if result.get("code") != _LED_BY_ANOTHER or left <= 0:
                line.end()
                return result
            given = dict(given, rollout_id=result["details"]["rollout_id"])
            line.show("another run leads the rollout", f"; waiting {left:.0f} s more")
            time.sleep(min(_PAUSE_SECONDS, left))


def _seconds(given: dict[str, t.Any]) -> int:
    """Return how many seconds to wait; the module reports an option that is not a whole number."""
    try:
        return int(given.get("wait_timeout", 0))
    except (TypeError, ValueError):
        return 0
