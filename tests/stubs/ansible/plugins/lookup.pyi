# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

class LookupBase:
    def set_options(self, var_options: Any = ..., direct: Any = ...) -> None: ...
    def run(self, terms: list[str], variables: Any = ..., **kwargs: Any) -> list[Any]: ...
