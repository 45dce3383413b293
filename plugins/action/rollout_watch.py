# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches a rollout that the server runs until it has ended or is paused."""

from __future__ import annotations

import typing as t

from ansible_collections.ucm.capf.plugins.plugin_utils._repeating import RepeatingAction
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, numbers


class ActionModule(RepeatingAction):
    """The action plugin of the module of this name; the module checks the arguments."""

    MODULE = "ucm.capf.rollout_watch"

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the last answer, with all files that were written."""
        self._files: set[str] = set()
        result = super().run(tmp, task_vars)
        if result.get("failed"):
            return result
        return dict(result, changed=bool(self._files), string_files=sorted(self._files))

    def heading(self, given: dict[str, t.Any]) -> str:
        """Return the heading of the progress."""
        return "the rollout {}".format(given.get("name"))

    def show(self, line: LiveLine, result: dict[str, t.Any]) -> None:
        """Show the server's line; it counts as changed if a number of phones changed, or the rollout is paused."""
        line.show(result["line"], key="{} {}".format(numbers(result["counts"]), result["problem"]))

    def next_options(self, given: dict[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the options with what this answer contains, so that the next one tells what changed since."""
        self._files.update(result["string_files"])
        return dict(given, since=result.get("since"))

    def has_ended(self, result: dict[str, t.Any]) -> bool:
        """Return whether the rollout has ended or needs a person."""
        return bool(result["ended"] or result["paused"])
