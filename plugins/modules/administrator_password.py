#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: administrator_password
short_description: Change the administrator's password on a server
version_added: 0.1.0
description:
  - Changes the administrator's password of the server that it connects to. It logs in with O(new_password) first, which
    changes nothing if that is the password already, and then with the old O(password).
  - The old password is refused from the next request on.
  - All servers of the cluster need the same password. Run the task for each of them, or change
    C(capf_server_password) of the role P(ucm.capf.capf_server#role), which needs no old password, and deploy again.
    Servers that share a database have one password.
  - Wrong passwords count as wrong logins, which make an address wait longer and longer.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  new_password:
    description: The new password, of at least 8 printable ASCII characters.
    type: str
    required: true
seealso:
  - module: ucm.capf.nodes_info
"""

EXAMPLES = r"""
- name: Change the password on one server
  ucm.capf.administrator_password:
    new_password: "{{ capf_new_password }}"
"""

RETURN = r"""
before:
  description: Whether the server accepted the new password before.
  returned: success
  type: dict
  sample: {new_password_is_right: false}
after:
  description: Whether the server accepts the new password now.
  returned: success
  type: dict
  sample: {new_password_is_right: true}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff

_RIGHT = "new_password_is_right"


def _is_right(module: AnsibleModule) -> bool:
    """Return whether the new password logs in."""
    try:
        Client(dict(module.params, password=module.params["new_password"])).get("/service")
    except CapfError as error:
        if error.code == "unauthorized":
            return False
        raise
    return True


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {"password": module.params["new_password"], "dry_run": module.check_mode}
    changed = not _is_right(module) and client.send("PUT", "/account/password", wanted)["changed"]
    before, after = {_RIGHT: not changed}, {_RIGHT: True}
    return {"changed": changed, "before": before, "after": after, "diff": values_diff(before, after)}


def main() -> None:
    options = dict(connection_options(), new_password={"type": "str", "required": True, "no_log": True})
    run(AnsibleModule(options, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
