#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: enterprise_parameters
short_description: Set CAPF enterprise parameters
version_added: 0.1.0
description:
  - Sets enterprise parameters by the names that the administration pages show. They belong to the whole cluster.
  - A change is in force after a restart of the CAPF service, which M(ucm.capf.service) does.
  - M(ucm.capf.service_info) shows every parameter with its help, default and range.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  parameters:
    description: The wanted values by parameter name. Parameters that are not named are left alone.
    type: dict
    required: true
seealso:
  - module: ucm.capf.service
  - module: ucm.capf.service_info
"""

EXAMPLES = r"""
- name: Set parameters
  ucm.capf.enterprise_parameters:
    administrator: admin
    password: "{{ capf_password }}"
    parameters:
      Enable IPv6: true
      CAPF Operation Expires in (days): 3
  register: parameters

- name: Bring them in force
  ucm.capf.service:
    administrator: admin
    password: "{{ capf_password }}"
    state: current
  when: parameters.restart_required
"""

RETURN = r"""
before:
  description: The parameters that change, with their values before.
  returned: success
  type: dict
after:
  description: The parameters that change, with their values after.
  returned: success
  type: dict
restart_required:
  description: Whether the CAPF service has to be restarted before the parameters are in force.
  returned: success
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {"parameters": module.params["parameters"], "dry_run": module.check_mode}
    answer = client.send("PUT", "/enterprise-parameters", wanted)
    return dict(answer, diff=values_diff(answer["before"], answer["after"]))


def main() -> None:
    options = {"parameters": {"type": "dict", "required": True}}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
