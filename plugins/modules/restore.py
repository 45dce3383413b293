#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore the backup of a CAPF server
version_added: 0.1.0
description:
  - Restores the state and the database from an archive written by M(ucm.capf.backup), on a host where the server is
    installed and configured but has no state yet. The module runs on that host and does not use the administration
    API.
  - The whole archive is checked before anything is written. The archive must be intact, the database and its audit
    table must be consistent, and the keys, certificates and database must belong together. Check mode does the same
    checks and leaves nothing behind, so it tests a backup.
  - A host that already has the state of a server is left alone. A database that is not empty is refused, and so is a
    state directory that contains links, which are named.
  - The role P(ucm.capf.capf_server#role) restores a backup as part of the installation; use this module on a host that
    you installed in a different way.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.archive
  - ucm.capf.attributes
attributes:
  check_mode:
    support: full
    details: The archive and its destination are checked as in a real run.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  archive:
    description:
      - The backup, a file on the host.
      - If the module runs as root and a different user owns the state directory, that user must be able to read the
        file.
    type: path
    required: true
  configuration:
    description: The server's configuration file, which contains the locations of the state and the database.
    type: path
    default: /etc/capf/capf.toml
  executable:
    description: The server's command.
    type: path
    default: /opt/capf/current/bin/capf
seealso:
  - module: ucm.capf.backup
"""

EXAMPLES = r"""
- name: Restore a backup on a new host
  ucm.capf.restore:
    archive: capf.backup
    passphrase: "{{ capf_backup_passphrase }}"
    configuration: new.toml
    executable: "{{ capf_executable }}"
"""

RETURN = r"""
message:
  description: Output of the server's command, which says what it did or that there was nothing to do.
  returned: success
  type: str
"""

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._archive import PLAIN, archive_options, form
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute

_STANDARD_INPUT = "-"


def _argv(params: dict[str, t.Any], check_mode: bool) -> list[str]:
    configuration, archive = (absolute(params[name]) for name in ("configuration", "archive"))
    argv = [params["executable"], "restore", "--config", configuration, "--from", archive]
    argv += ["--plain"] if params["plain"] else ["--passphrase-file", _STANDARD_INPUT]
    return argv + ["--unless-there", "--json"] + (["--dry-run"] if check_mode else [])


def main() -> None:
    options = dict(
        archive_options(),
        archive={"type": "path", "required": True},
        configuration={"type": "path", "default": "/etc/capf/capf.toml"},
        executable={"type": "path", "default": "/opt/capf/current/bin/capf"},
    )
    module = AnsibleModule(options, supports_check_mode=True)
    try:
        passphrase = form(module.params).get("passphrase", "")
    except CapfError as error:
        module.fail_json(msg=str(error))
    argv = _argv(module.params, module.check_mode)
    status, output, said = module.run_command(argv, data=passphrase)
    if status != 0:
        module.fail_json(msg=said.strip() or f"{argv[0]} ended with status {status}")
    result = json.loads(output)
    if module.params["plain"] and result["changed"]:
        module.warn(PLAIN.format(module.params["archive"]))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
