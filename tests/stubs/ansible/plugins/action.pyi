# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

class _Task:
    args: dict[str, Any]
    check_mode: bool

class ActionBase:
    _task: _Task
    def run(self, tmp: str | None = ..., task_vars: dict[str, Any] | None = ...) -> dict[str, Any]: ...
    def _execute_module(
        self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any] | None = ...
    ) -> dict[str, Any]: ...
