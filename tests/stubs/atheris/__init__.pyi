# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

Fuzz: Callable[[], None]
Setup: Callable[[Sequence[str], Callable[[bytes], None]], list[str]]

def instrument_imports(include: Sequence[str] = ...) -> AbstractContextManager[None]: ...
