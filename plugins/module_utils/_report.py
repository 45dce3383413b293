# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as files: fetched, counted, and moved into place only if they differ."""

from __future__ import annotations

import csv
import filecmp
import os
import re
import typing as t
from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule

from ._client import CapfError
from ._files import OWNER_ALONE, place, temporary_file
from ._paths import absolute
from ._result import values_diff

_HEAD_CHARACTERS = 2000
_PAGE_COUNT = re.compile(r'<meta name="phones" content="([0-9]+)">')


def write(module: AnsibleModule, dest: str, fetch: Callable[[t.BinaryIO], object]) -> dict[str, t.Any]:
    """Write the report that C(fetch) fetches to C(dest), or in check mode only return what would change."""
    path = _writable(absolute(dest))
    with temporary_file(module) as (handle, temporary):
        fetch(handle)
        handle.flush()
        after, before, same = _phones(temporary), 0, False
        if os.path.isfile(path):
            before = _phones(path)
            same = os.stat(path).st_mode & 0o777 == OWNER_ALONE and filecmp.cmp(path, temporary, shallow=False)
        if not same and not module.check_mode:
            place(module, temporary, path)
    return {
        "changed": not same,
        "dest": path,
        "phones": after,
        "diff": values_diff({"phones": before}, {"phones": after}),
    }


def _writable(path: str) -> str:
    """Return the path if the file can be written; CapfError otherwise, also in check mode."""
    if os.path.isdir(path):
        raise CapfError(f"dest: {path!r} is a directory; give a file")
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise CapfError(f"dest: the directory of {path!r} does not exist; create it, or give another file")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise CapfError(f"dest: the directory of {path!r} is not writable; change its mode, or give another file")
    return path


def _phones(path: str) -> int:
    """Return the number of phones in a report of any format; 0 for a file that is not a report."""
    with open(path, newline="", encoding="utf-8", errors="replace") as handle:
        head = handle.read(_HEAD_CHARACTERS)
        handle.seek(0)
        if head.startswith("["):
            return sum(1 for line in handle if line.startswith("{"))
        if head.startswith("<"):
            found = _PAGE_COUNT.search(head)
            return int(found.group(1)) if found else 0
        try:
            return max(0, sum(1 for row in csv.reader(handle)) - 1)
        except csv.Error:
            return 0
