# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets: made for their owner alone, and moved into place whole."""

from __future__ import annotations

import os
import tempfile
import typing as t
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule

OWNER_ALONE = 0o600


@contextmanager
def temporary_file(module: AnsibleModule) -> t.Iterator[tuple[t.BinaryIO, str]]:
    """Yield a new file for its owner alone with its path; it is removed at the end where it was not moved."""
    descriptor, path = tempfile.mkstemp(dir=module.tmpdir)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle, path
    finally:
        if os.path.exists(path):
            os.unlink(path)


def place(module: AnsibleModule, source: str, dest: str) -> None:
    """Move a file to where it is wanted, or fail with the reason."""
    try:
        os.chmod(source, OWNER_ALONE)
        module.atomic_move(source, dest)
        os.chmod(dest, OWNER_ALONE)
    except OSError as error:
        module.fail_json(msg="dest: {0!r} cannot be written: {1}".format(dest, error.strerror))
