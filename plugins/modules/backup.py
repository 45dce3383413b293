#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up a CAPF server
version_added: 0.1.0
description:
  - Writes an archive with the keys, certificates, trace files and database of a running server to a file on the host
    that runs the module. The database copy is a consistent snapshot, of SQLite and PostgreSQL alike.
  - The server checks the archive in the same way as a restore does, and refuses a backup that could not be restored.
    The file has mode 0600 from its first byte, and gets its name only after it has arrived complete and undamaged.
  - M(ucm.capf.restore) restores it on an empty host, and tests it in check mode.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.archive
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
    details: No archive is made, so its size is not known.
  diff_mode:
    support: N/A
  idempotent:
    support: none
    details: Every run makes an archive.
options:
  dest:
    description:
      - The file to write, which must not exist, or a directory. In a directory, each run creates a new file named
        after O(host) and the time; its name ends with C(.backup), or C(.tar.gz) for a plain archive.
    type: path
    required: true
seealso:
  - module: ucm.capf.restore
"""

EXAMPLES = r"""
- name: Back up the first node into a directory
  ucm.capf.backup:
    passphrase: "{{ capf_backup_passphrase }}"
    dest: .
"""

RETURN = r"""
dest:
  description: The file.
  returned: success
  type: str
files:
  description: Number of files in the archive.
  returned: when not in check mode
  type: int
size:
  description: Size of the archive in bytes.
  returned: when not in check mode
  type: int
sha256:
  description: SHA-256 digest of the archive.
  returned: when not in check mode
  type: str
"""

import os
import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._archive import PLAIN, archive_options, form
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._files import new_file
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute
from ansible_collections.ucm.capf.plugins.module_utils._result import run

_LONGEST_SECONDS = 3600


def _target(params: dict[str, t.Any]) -> str:
    """Return the path of the file to write; CapfError if no new file can be created there."""
    path = absolute(params["dest"])
    if os.path.isdir(path):
        host = re.sub(r"[^A-Za-z0-9.-]", "-", params["host"])
        ending = "tar.gz" if params["plain"] else "backup"
        path = os.path.join(path, "capf-{}-{}.{}".format(host, time.strftime("%Y%m%dT%H%M%S"), ending))
    if os.path.lexists(path):
        raise CapfError(f"dest: {path!r} already exists; give a new file, or a directory")
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise CapfError(f"dest: {path!r} cannot be written: its directory does not exist")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise CapfError(f"dest: {path!r} cannot be written: directory {directory!r} is not writable")
    return path


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted, path = form(module.params), _target(module.params)
    if module.params["plain"]:
        module.warn(PLAIN.format(path))
    if module.check_mode:
        client.send("POST", "/backup", dict(wanted, dry_run=True))
        return {"changed": True, "dest": path}
    with new_file(path) as handle:
        made = client.download("/backup", wanted, handle, extra_seconds=_LONGEST_SECONDS)
    return {
        "changed": True,
        "dest": path,
        "files": int(made.headers["CAPF-Files"]),
        "size": made.size,
        "sha256": made.sha256,
    }


def main() -> None:
    options = dict(connection_options(), **archive_options(), dest={"type": "path", "required": True})
    run(AnsibleModule(options, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
