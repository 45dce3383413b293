# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The format of log lines, on the console and in trace files."""

from __future__ import annotations

import logging

LINE = "%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"


def to_console() -> None:
    """Write the log to standard error at level INFO, whatever the level of the trace files."""
    console = logging.StreamHandler()
    console.setLevel(logging.INFO)
    logging.basicConfig(level=logging.INFO, format=LINE, handlers=[console])
    logging.getLogger("alembic").setLevel(logging.WARNING)
