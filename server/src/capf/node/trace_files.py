# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace files: what the running server writes beside its console log, and what an administrator may read (R21, R27)."""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from capf.certificates.keystore import SECRET
from capf.model import DEVICE_NAME
from capf.node.logs import Lines
from capf.registry.trace_settings import TraceSettings

NAME = "capf.log"
"""The current trace file; earlier ones have a number, and ``capf.log.1`` is the latest of them."""
_BYTES_A_MEGABYTE = 1024 * 1024
_EARLIER = re.compile(re.escape(NAME) + r"\.([1-9][0-9]{0,4})")
_TROUBLESHOOT = re.compile(rf"{DEVICE_NAME.pattern}-(?:LSC|MIC|TYPE[0-9]+)\.txt")


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A trace file: ``kind`` is trace or Troubleshoot."""

    name: str
    kind: str
    size: int
    modified: str


def _kind(name: str) -> str | None:
    """Return the kind of a file by its name, None if it is not a trace file."""
    if name == NAME or _EARLIER.fullmatch(name):
        return "trace"
    return "Troubleshoot" if _TROUBLESHOOT.fullmatch(name) else None


def listing(directory: Path) -> list[TraceFile]:
    """Return the trace files by name, first those of the server, starting with the latest one."""
    files = []
    for path in directory.iterdir() if directory.is_dir() else ():
        kind = _kind(path.name)
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if kind is not None and stat.S_ISREG(found.st_mode):
            changed = datetime.fromtimestamp(int(found.st_mtime), UTC).isoformat()
            files.append(TraceFile(path.name, kind, found.st_size, changed))
    return sorted(files, key=lambda file: (file.kind != "trace", _age(file.name), file.name))


def _age(name: str) -> int:
    earlier = _EARLIER.fullmatch(name)
    return int(earlier[1]) if earlier else 0


def read(directory: Path, name: str) -> bytes | None:
    """Return the content of a trace file, None if it does not exist."""
    if _kind(name) is None:
        return None
    try:
        descriptor = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


class _Writer(RotatingFileHandler):
    """Writes files that nobody else can read; a full disk is remembered but disturbs nothing else."""

    def __init__(self, path: Path, settings: TraceSettings) -> None:
        size, earlier = settings.maximum_file_size * _BYTES_A_MEGABYTE, settings.maximum_number_of_files - 1
        super().__init__(path, maxBytes=size, backupCount=earlier, encoding="utf-8", delay=True)
        self.problem = ""
        self.setLevel(settings.level)
        self.setFormatter(Lines())

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, SECRET)
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        self.problem = ""
        super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - logging's own name
        """Return whether the file would become too large; unlike logging's own answer, this takes one system call."""
        if self.stream is None:
            self.stream = self._open()
        line = self.format(record) + self.terminator
        return os.fstat(self.stream.fileno()).st_size + len(line.encode()) > self.maxBytes > 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        self.problem = f"{NAME} cannot be written"


class TraceFiles:
    """The trace files of the running server; ``apply`` applies settings immediately."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.in_force: TraceSettings | None = None
        self._writer: _Writer | None = None

    @property
    def problem(self) -> str:
        """Why lines cannot be written to the trace files; empty if they can."""
        return "" if self._writer is None else self._writer.problem

    def apply(self, settings: TraceSettings) -> None:
        """Write trace files according to the settings, and delete surplus ones; the console keeps its own level."""
        logger = logging.getLogger("capf")
        self.close()
        self.in_force = settings
        if not settings.trace_on:
            logger.setLevel(logging.NOTSET)
            return
        self._writer = _Writer(self.directory / NAME, settings)
        self._prepare(settings.maximum_number_of_files)
        logger.setLevel(min(settings.level, logging.INFO))
        logger.addHandler(self._writer)

    def close(self) -> None:
        """Stop writing."""
        if self._writer is not None:
            logging.getLogger("capf").removeHandler(self._writer)
            self._writer.close()
            self._writer = None

    def _prepare(self, files: int) -> None:
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self.directory.chmod(0o700)
            for file in listing(self.directory):
                if file.kind == "trace" and _age(file.name) >= files:
                    (self.directory / file.name).unlink(missing_ok=True)
        except OSError as error:
            logging.getLogger(__name__).error("event=trace-trouble error=%r", str(error))
