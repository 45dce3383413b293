#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capf_service
short_description: Start, stop or restart the CAPF service
version_added: 0.1.0
description:
  - CAPF is installed deactivated. It has to be activated explicitly, on the first node only.
  - A restart applies changed service and enterprise parameters.
  - The module warns about a CTL file that was made before CAPF was activated. M(ucm.capf.ctl_file) makes a new one.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: O(state=restarted) restarts the service every time, unless O(only_if_required=true).
options:
  state:
    description:
      - V(started) activates CAPF on the first node, and starts a service that is activated but not running. CAPF stays
        activated when the node restarts.
      - V(stopped) deactivates CAPF and stops it.
      - V(restarted) restarts the service of an activated CAPF; open sessions may finish first.
      - V(started) and V(restarted) fail with the reason if CAPF could not run, for example because another program uses
        its port. A running CAPF then keeps running. V(restarted) fails if CAPF is not activated.
    type: str
    choices: [started, stopped, restarted]
    default: started
  only_if_required:
    description:
      - With O(state=restarted), restart CAPF only if changed parameters are pending, and start it if it is not running.
    type: bool
    default: false
seealso:
  - module: ucm.capf.capf_service_info
  - module: ucm.capf.ctl_file
"""

EXAMPLES = r"""
- name: Activate CAPF on the first node
  ucm.capf.capf_service:
    state: started

- name: Apply changed parameters
  ucm.capf.capf_service:
    state: restarted
    only_if_required: true
"""

RETURN = r"""
activated:
  description: Whether CAPF is activated now, or would be.
  returned: success
  type: bool
restarted:
  description: Whether O(state=restarted) started or restarted the service, or would.
  returned: success
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff


def _activation(module: AnsibleModule, client: Client, wanted: bool) -> dict[str, t.Any]:
    answer = client.send("PUT", "/service", {"activated": wanted, "dry_run": module.check_mode})
    for warning in answer["warnings"]:
        module.warn(warning)
    return {
        "changed": answer["changed"],
        "activated": wanted,
        "restarted": False,
        "diff": values_diff(answer["before"], answer["after"]),
    }


def _restart(module: AnsibleModule, client: Client, if_due: bool) -> dict[str, t.Any]:
    answer = client.send("POST", "/service/restart", {"if_due": if_due, "dry_run": module.check_mode})
    result = {"changed": answer["changed"], "activated": True, "restarted": answer["changed"]}
    return dict(result, diff=values_diff(answer["before"], answer["after"]))


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    state = module.params["state"]
    if state == "restarted":
        return _restart(module, client, if_due=module.params["only_if_required"])
    return _activation(module, client, state == "started")


def main() -> None:
    options = {
        "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "default": "started"},
        "only_if_required": {"type": "bool", "default": False},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
