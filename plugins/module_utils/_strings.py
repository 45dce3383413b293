# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The authentication strings that people still have to enter, in a CSV file for each site."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._client import Client
from ._paths import absolute
from ._report import write

_CHARACTERS = 100
_REPLACED = re.compile(r"[^A-Za-z0-9._-]")
_NO_SITE = "no-site"
_WAITS = {"field": "authentication_string", "pattern": "is not empty"}
_MOST_PHONES = 100000


def file_of(site: str) -> str:
    """Return the name of a site's file.

    Sites whose names differ only in replaced characters have separate files, and so do phones without a site.
    """
    if not site:
        return _NO_SITE + ".csv"
    name = _REPLACED.sub("_", site[:_CHARACTERS])
    if name != site or site == _NO_SITE:
        name = f"{name}-{hashlib.sha256(site.encode()).hexdigest()[:8]}"
    return name + ".csv"


def write_strings(module: AnsibleModule, client: Client, directory: str) -> list[str]:
    """Write the file of each site whose phones wait for their string; return the paths of those that changed."""
    wanted = {"criteria": [_WAITS], "fields": ["device_pool"], "rows_per_page": _MOST_PHONES}
    found = client.send("POST", "/phones/find", wanted)["phones"]
    changed = []
    for site in sorted({phone["device_pool"] for phone in found}):
        done = _write_site(module, client, os.path.join(absolute(directory), file_of(site)), site)
        changed += [done["dest"]] if done["changed"] else []
    return changed


def _write_site(module: AnsibleModule, client: Client, path: str, site: str) -> dict[str, t.Any]:
    of_site = {"field": "device_pool", "pattern": "is exactly" if site else "is empty", "value": site}
    wanted = {"criteria": [_WAITS, of_site], "format": "csv", "authentication_strings": True}
    return write(module, path, lambda handle: client.download("/reports/capf", wanted, handle))
