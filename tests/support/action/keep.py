# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An action that writes text to a file of the control node: what a play returned, at the cost of no module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Writes ``content`` to ``dest``."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return nothing but that nothing of the host has changed."""
        super().run(tmp, task_vars)
        content = self._task.args["content"]  # of some versions of ansible-core already what the JSON stands for
        Path(self._task.args["dest"]).write_text(content if isinstance(content, str) else json.dumps(content))
        return {"changed": False}
