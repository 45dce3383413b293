"""Secrets that the command line is given: by a file that only its owner can read, or by standard input."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from capf.model import InvalidRequestError, Problem

STANDARD_INPUT = Path("-")
_READ_BY_OTHERS = 0o044


def first_line(path: Path, option: str) -> str:
    """Return the first line of a file, or of standard input for ``-``; InvalidRequestError says what it lacks."""
    with _opened(path, option) as file:
        if path != STANDARD_INPUT and os.fstat(file.fileno()).st_mode & _READ_BY_OTHERS:
            raise InvalidRequestError([Problem(option, str(path), "a file that only its owner can read")])
        return _text(file.readline(), path, option)


def rest(path: Path, option: str) -> str:
    """Return the content of a file, or for ``-`` what is left of standard input; InvalidRequestError as above."""
    with _opened(path, option) as file:
        return file.read().decode(errors="replace")


def _opened(path: Path, option: str) -> AbstractContextManager[BinaryIO]:
    """Return a file, or standard input, which stays open; InvalidRequestError when it cannot be read."""
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        allowed = f"a readable file ({error.strerror}), or {STANDARD_INPUT} for standard input"
        raise InvalidRequestError([Problem(option, str(path), allowed)]) from None


def _text(line: bytes, path: Path, option: str) -> str:
    try:
        return line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise InvalidRequestError([Problem(option, str(path), "a first line in UTF-8")]) from None
