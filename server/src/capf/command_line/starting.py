"""A quick start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Load modules without looking for garbage, a sixth of the time it takes; what they made stays."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
