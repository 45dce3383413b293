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
  - Writes an archive with the keys, certificates, trace files and database of a running server to a file, on the host
    that runs the module. The database is copied as it is at one moment, whether it is SQLite or PostgreSQL.
  - The archive is as secret as the server's keys, so the file is written with mode 0600.
  - M(ucm.capf.restore) brings it back on an empty host.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
    details: Nothing is fetched, so that the archive's size is not known.
  diff_mode:
    support: N/A
  idempotent:
    support: none
    details: Every run makes an archive.
options:
  dest:
    description:
      - The file to write, which must not exist; or a directory, in which a new file is made each time, named after
        O(host) and the time.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Back up the first node into a directory
  ucm.capf.backup:
    administrator: admin
    password: "{{ capf_password }}"
    dest: .
"""

RETURN = r"""
dest:
  description: The file.
  returned: success
  type: str
files:
  description: How many files the archive holds.
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
import tarfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._files import place, temporary_file
from ansible_collections.ucm.capf.plugins.module_utils._result import run

_LONGEST_SECONDS = 3600


def _target(dest: str, host: str) -> str:
    """Return the file to write; CapfError when it cannot be a new file."""
    path = os.path.abspath(dest)
    if os.path.isdir(path):
        name = re.sub(r"[^A-Za-z0-9.-]", "-", host)
        path = os.path.join(path, "capf-{0}-{1}.tar.gz".format(name, time.strftime("%Y%m%dT%H%M%S")))
    if os.path.exists(path):
        raise CapfError("dest: {0!r} is there already; allowed: a new file, or a directory".format(path))
    if not os.path.isdir(os.path.dirname(path)):
        raise CapfError("dest: {0!r} cannot be written: there is no such directory".format(path))
    return path


def _files(path: str) -> int:
    try:
        with tarfile.open(path) as archive:
            return len(archive.getnames())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CapfError("what the server sent is no archive: {0}".format(error)) from None


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = _target(module.params["dest"], module.params["host"])
    if module.check_mode:
        client.get("/service")
        return {"changed": True, "dest": path}
    with temporary_file(module) as (handle, temporary):
        size, digest = client.download("/backup", {}, handle, extra_seconds=_LONGEST_SECONDS)
        handle.flush()
        files = _files(temporary)
        place(module, temporary, path)
    return {"changed": True, "dest": path, "files": files, "size": size, "sha256": digest}


def main() -> None:
    options = dict(connection_options(), dest={"type": "path", "required": True})
    run(AnsibleModule(options, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
