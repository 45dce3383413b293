# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The format of log lines, on the console and in trace files."""

from __future__ import annotations

import logging
import time

LINE = "%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
_TEXT = "capf_line"


class Lines(logging.Formatter):
    """Makes a record's line once, for the console and the trace files."""

    def __init__(self) -> None:
        super().__init__(LINE)
        self._second, self._time = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return the record's time; date and seconds are formatted once for all records of a second."""
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, time.strftime(self.default_time_format, self.converter(second))
        return f"{self._time},{int(record.msecs):03d}"

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        made: str | None = record.__dict__.get(_TEXT)
        if made is None:
            made = record.__dict__[_TEXT] = super().format(record)
        return made


def to_console() -> None:
    """Write the log to standard error at level INFO, whatever the level of the trace files."""
    console = logging.StreamHandler()
    console.setLevel(logging.INFO)
    console.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[console])
    logging.getLogger("alembic").setLevel(logging.WARNING)
