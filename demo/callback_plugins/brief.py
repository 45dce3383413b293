# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the demonstration shows of a playbook: a line for each task that changed something, messages, and failures."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: brief
type: stdout
short_description: Show each task that changed something on a line, and messages as they are
description:
  - For the demonstration, whose output people read as a whole. Progress of waves is shown by the tasks that wait.
"""


class CallbackModule(CallbackBase):
    """A callback for standard output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "brief"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show a message, or that the task has changed something."""
        task, given = result._task, result._result
        if task.action == "ansible.builtin.debug":
            message = given.get("msg", "")
            for line in message if isinstance(message, list) else [message]:
                self._display.display(f"  {line}")
        elif given.get("changed"):
            self._display.display(f"- {task.name}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show what failed."""
        message = result._result.get("msg", result._result)
        self._display.display(f"- {result._task.name}: {'ignored' if ignore_errors else 'FAILED'}: {message}")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Show that a host cannot be reached."""
        self._display.display(f"- {result._task.name}: UNREACHABLE: {result._result.get('msg', '')}")
