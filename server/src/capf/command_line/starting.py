# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts the command quickly."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Load modules without garbage collection, which takes a sixth of the time; their objects stay alive anyway."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
