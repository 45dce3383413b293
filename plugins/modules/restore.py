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
  - Brings state and database back from an archive that M(ucm.capf.backup) has written, on a host whose server is
    installed and configured but has no state yet. It runs there, without the administration API.
  - The whole archive is checked before anything is written. It has to be as it was made, database and audit table have
    to be sound, and keys, certificates and database have to belong together. In check mode the same is done and nothing
    is left behind, which is how to test a backup.
  - A host that has a server's state is left alone, and a database that holds anything is refused. So is a state
    directory with links in it, which are named.
  - The role P(ucm.capf.capf_server#role) does it with the rest of the installation; this is for a host of your own
    making.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.archive
  - ucm.capf.attributes
attributes:
  check_mode:
    support: full
    details: The archive and the place for it are checked as in a run.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  archive:
    description:
      - The backup, a file of the host.
      - Where the module runs as root and another user owns the state directory, that user has to be able to read the
        file.
    type: path
    required: true
  configuration:
    description: The server's configuration file, which says where state and database belong.
    type: path
    default: /etc/capf/capf.toml
  executable:
    description: The server's command.
    type: path
    default: /opt/capf/venv/bin/capf
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
  description: What the server's command says that it did, or that there was nothing to do.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._archive import PLAIN, archive_options, form
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute

_UNCHANGED = "unchanged: "
_STANDARD_INPUT = "-"


def _argv(params: dict[str, t.Any], check_mode: bool) -> list[str]:
    configuration, archive = (absolute(params[name]) for name in ("configuration", "archive"))
    argv = [params["executable"], "restore", "--config", configuration, "--from", archive]
    argv += ["--plain"] if params["plain"] else ["--passphrase-file", _STANDARD_INPUT]
    return argv + ["--unless-there"] + (["--dry-run"] if check_mode else [])


def main() -> None:
    options = dict(
        archive_options(),
        archive={"type": "path", "required": True},
        configuration={"type": "path", "default": "/etc/capf/capf.toml"},
        executable={"type": "path", "default": "/opt/capf/venv/bin/capf"},
    )
    module = AnsibleModule(options, supports_check_mode=True)
    try:
        passphrase = form(module.params).get("passphrase", "")
    except CapfError as error:
        module.fail_json(msg=str(error))
    argv = _argv(module.params, module.check_mode)
    status, output, error = module.run_command(argv, data=passphrase)
    if status != 0:
        module.fail_json(msg=error.strip() or f"{argv[0]} ended with status {status}")
    changed = not output.startswith(_UNCHANGED)
    if module.params["plain"] and changed:
        module.warn(PLAIN.format(module.params["archive"]))
    module.exit_json(changed=changed, message=output.strip())


if __name__ == "__main__":
    main()
