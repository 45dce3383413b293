# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files: read with errors that show absolute paths, created with mode 0600, and moved into place when complete."""

from __future__ import annotations

import os
import tempfile
import typing as t
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule

from ._client import CapfError
from ._paths import absolute

OWNER_ALONE = 0o600


def read(option: str, path: str) -> bytes:
    """Return the content of a file; CapfError names the option, the absolute path and why it cannot be read."""
    try:
        with open(absolute(path), "rb") as handle:
            return handle.read()
    except OSError as error:
        raise CapfError(f"{option}: {absolute(path)!r} cannot be read: {error.strerror}") from None


def read_pem(option: str, path: str) -> str:
    """Return the text of a PEM file or another text file; CapfError as for C(read), and if it is not UTF-8."""
    try:
        return read(option, path).decode("utf-8")
    except UnicodeDecodeError:
        raise CapfError(f"{option}: {absolute(path)!r} is not a PEM file") from None


@contextmanager
def temporary_file(module: AnsibleModule) -> t.Iterator[tuple[t.BinaryIO, str]]:
    """Yield a new file that only its owner can read, and its path; it is removed at the end unless it was moved."""
    descriptor, path = tempfile.mkstemp(dir=module.tmpdir)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle, path
    finally:
        if os.path.exists(path):
            os.unlink(path)


@contextmanager
def new_file(dest: str) -> t.Iterator[t.BinaryIO]:
    """Yield a file that only its owner can read, from its first byte on; it gets the name C(dest) at the end.

    Nothing is left behind after an error, and a file that exists by then is never replaced but raises CapfError.
    """
    unfinished = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}-{os.getpid()}.new")
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
    except OSError as error:
        raise CapfError(f"dest: {dest!r} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w+b") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        _name(unfinished, dest)
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)


def _name(unfinished: str, dest: str) -> None:
    try:
        os.link(unfinished, dest)
    except FileExistsError:
        raise CapfError(f"dest: {dest!r} already exists; give a new file, or a directory") from None
    except OSError:  # a file system without links
        os.rename(unfinished, dest)


def place(module: AnsibleModule, source: str, dest: str) -> None:
    """Move a file to its destination, or fail with the reason."""
    try:
        os.chmod(source, OWNER_ALONE)
        module.atomic_move(source, dest)
        os.chmod(dest, OWNER_ALONE)
    except OSError as error:
        module.fail_json(msg=f"dest: {dest!r} cannot be written: {error.strerror}")
