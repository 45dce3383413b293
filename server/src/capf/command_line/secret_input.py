# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads secrets for the command line from a file that only its owner can read, or from standard input."""

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
    """Return the first line of a file, or of standard input for ``-``; InvalidRequestError if it is not usable."""
    with _opened(path, option) as file:
        if path != STANDARD_INPUT and os.fstat(file.fileno()).st_mode & _READ_BY_OTHERS:
            message = f"others can read {path}; let only its owner read it (chmod 0600)"
            raise InvalidRequestError([Problem(option, str(path), message)])
        return _text(file.readline(), path, option)


def rest(path: Path, option: str) -> str:
    """Return the content of a file, or for ``-`` the rest of standard input; InvalidRequestError as above."""
    with _opened(path, option) as file:
        return file.read().decode(errors="replace")


def _opened(path: Path, option: str) -> AbstractContextManager[BinaryIO]:
    """Return a file, or standard input, which stays open; InvalidRequestError if it cannot be read."""
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        message = (
            f"{str(path)!r} cannot be read ({error.strerror});"
            f" give a readable file, or {STANDARD_INPUT} for standard input"
        )
        raise InvalidRequestError([Problem(option, str(path), message)]) from None


def _text(line: bytes, path: Path, option: str) -> str:
    try:
        return line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        message = f"the first line of {path} is not valid UTF-8; save it as UTF-8"
        raise InvalidRequestError([Problem(option, str(path), message)]) from None
