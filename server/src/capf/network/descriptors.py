# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The number of file descriptors for each door, so that no door uses up those of phones, the database or resets.

The limit is looked up at each call, because an administrator can change it while the process runs (``prlimit``).
"""

from __future__ import annotations

import resource
import sys

_OWN = 200
"""For the database, files, logs and the event loop."""
_A_RESET = 4
"""Pipes and the process of one reset command."""
_OWN_AT_MOST, _ADMINISTRATION, _FILES = 4, 8, 4
"""The shares of a low limit: a quarter is reserved; administration gets an eighth of the rest, files a quarter."""


class Descriptors:
    """Divides the descriptors of this process among its doors."""

    def __init__(self, administration: int, files: int, resets: int) -> None:
        """``administration``, ``files``: maximum connections of these doors; ``resets``: concurrent commands."""
        self._wanted = (administration, files)
        self._own = _OWN + _A_RESET * resets

    def _left(self) -> int:
        limit, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return sys.maxsize
        return limit - min(self._own, limit // _OWN_AT_MOST)

    def administration(self) -> int:
        """Return how many connections the administration port may have."""
        return max(1, min(self._wanted[0], self._left() // _ADMINISTRATION))

    def files(self) -> int:
        """Return how many connections the files port may have."""
        return max(1, min(self._wanted[1], self._left() // _FILES))

    def capf(self) -> int:
        """Return how many connections the CAPF port may have: all remaining ones."""
        return max(1, self._left() - self.administration() - self.files())
