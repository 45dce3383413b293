# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

_LOOK_AGAIN_SECONDS = 0.05


def until(look: Callable[[], Seen], seconds: float = 10, say: Callable[[], object] = lambda: "") -> Seen:
    """Poll until the result is true, and return it; AssertionError with the text of ``say`` after these seconds."""
    limit = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < limit, say() or f"not true within {seconds} s"
        time.sleep(_LOOK_AGAIN_SECONDS)
    return seen
