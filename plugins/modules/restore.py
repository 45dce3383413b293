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
  - A host that has a server's state is left alone, and a database that holds anything is refused.
  - The role P(ucm.capf.capf_server#role) does it with the rest of the installation; this is for a host of your own making.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.attributes
attributes:
  check_mode:
    support: full
    details: The archive and the place for it are looked at.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  archive:
    description: The backup, a file of the host.
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
    archive: backup.tar.gz
    configuration: new.toml
    executable: "{{ capf_executable }}"
"""

RETURN = r"""
message:
  description: What the server's command says that it did, or that there was nothing to do.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

_UNCHANGED = "unchanged: "


def main() -> None:
    options = {
        "archive": {"type": "path", "required": True},
        "configuration": {"type": "path", "default": "/etc/capf/capf.toml"},
        "executable": {"type": "path", "default": "/opt/capf/venv/bin/capf"},
    }
    module = AnsibleModule(options, supports_check_mode=True)
    argv = [module.params["executable"], "restore", "--config", module.params["configuration"]]
    argv += ["--from", module.params["archive"], "--unless-there"] + (["--dry-run"] if module.check_mode else [])
    status, output, error = module.run_command(argv)
    if status != 0:
        module.fail_json(msg=error.strip() or "{0} ended with status {1}".format(argv[0], status))
    module.exit_json(changed=not output.startswith(_UNCHANGED), message=output.strip())


if __name__ == "__main__":
    main()
