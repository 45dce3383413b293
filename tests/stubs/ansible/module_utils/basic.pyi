# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

class AnsibleModule:
    argument_spec: dict[str, Any]
    params: dict[str, Any]
    check_mode: bool
    tmpdir: str
    def __init__(
        self,
        argument_spec: Mapping[str, Any],
        *,
        supports_check_mode: bool = ...,
        mutually_exclusive: Sequence[Sequence[str]] | None = ...,
        required_together: Sequence[Sequence[str]] | None = ...,
        required_one_of: Sequence[Sequence[str]] | None = ...,
        required_if: Sequence[Sequence[Any]] | None = ...,
        required_by: Mapping[str, Sequence[str]] | None = ...,
    ) -> None: ...
    def atomic_move(self, src: str, dest: str) -> None: ...
    def exit_json(self, **result: Any) -> NoReturn: ...
    def fail_json(self, msg: str, **result: Any) -> NoReturn: ...
    def run_command(self, args: Sequence[str], *, data: str | None = ...) -> tuple[int, str, str]: ...
    def warn(self, warning: str) -> None: ...

def env_fallback(*names: str) -> str: ...
