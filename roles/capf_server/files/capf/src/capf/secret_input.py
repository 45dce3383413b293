"""Secrets that the command line is given: by a file that only its owner can read, or by standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from capf.model import InvalidRequestError, Problem

STANDARD_INPUT = Path("-")
_READ_BY_OTHERS = 0o044


def first_line(path: Path, option: str) -> str:
    """Return the first line of a file, or of standard input for ``-``; InvalidRequestError says what it lacks."""
    if path == STANDARD_INPUT:
        return _text(sys.stdin.buffer.readline(), path, option)
    with path.open("rb") as handle:
        if os.fstat(handle.fileno()).st_mode & _READ_BY_OTHERS:
            raise InvalidRequestError([Problem(option, str(path), "a file that only its owner can read")])
        return _text(handle.readline(), path, option)


def _text(line: bytes, path: Path, option: str) -> str:
    try:
        return line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise InvalidRequestError([Problem(option, str(path), "a first line in UTF-8")]) from None
