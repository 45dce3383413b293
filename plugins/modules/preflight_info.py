#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Check whether certificate operations can begin
version_added: 0.1.0
description:
  - Goes through the CAPF configuration checklist - LSC on the phones, CAPF data, CAPF service, CAPF certificate,
    parameters, authentication strings, and the reset command - and returns the result of each item with what to do
    about it.
  - A failed item does not fail the task, so that a play can show the whole list first. The role
    P(ucm.capf.preflight#role) shows the list and then fails.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  phones:
    description: Device names of the phones to check. If neither O(phones) nor O(csv_file) is set, all registered
      phones are checked.
    type: list
    elements: str
  csv_file:
    description:
      - CSV file on the host that runs the module, with one phone per row and the device names in the column
        C(device_name) or C(Device Name), such as a report of this collection.
    type: path
  parameters:
    description: Expected values of service and enterprise parameters, by name.
    type: dict
  reset:
    description:
      - Check that the server can reset phones with M(ucm.capf.phone_reset), for which it needs a reset command.
    type: bool
    default: false
seealso:
  - module: ucm.capf.capf_service
"""

EXAMPLES = r"""
- name: Go through the checklist
  ucm.capf.preflight_info:
    parameters:
      Key Size: 2048
      Enable IPv6: false
  register: preflight

- name: Show the items that are not ok
  ansible.builtin.debug:
    msg: "{{ preflight.checklist | rejectattr('result', 'eq', 'ok') }}"
"""

RETURN = r"""
result:
  description: Result of the whole checklist, V(ok), V(warning) or V(failed).
  returned: success
  type: str
  sample: warning
checklist:
  description: The items of the checklist.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The subject of the item.
      type: str
    step:
      description: The step of the CAPF configuration checklist that it belongs to.
      type: str
    result:
      description: V(ok), V(warning) or V(failed).
      type: str
    message:
      description: The findings.
      type: str
    todo:
      description: What to do about it; empty if the item is ok.
      type: str
counts:
  description: Numbers of phones with an LSC, without one, and not registered with the server.
  returned: success
  type: dict
  sample: {lsc_installed: 190, lsc_not_installed: 10, unknown: 0}
lsc_installed:
  description: Device names of the phones with an LSC. Only the first 100 are returned unless the task names its
    phones.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334455]
lsc_not_installed:
  description: Device names of the phones without an LSC. Only the first 100 are returned unless the task names its
    phones.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334466]
unknown:
  description: Device names that are not registered with the server.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, selection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import selected
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, run, warned

_NAMES = ("lsc_installed", "lsc_not_installed")


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in ("parameters", "reset")}
    if module.params["phones"] is None and module.params["csv_file"] is None:
        answer = client.send("POST", "/preflight", dict(wanted, phones=None))
        answer.update({name: capped(answer[name]) for name in _NAMES})
    else:
        rows = selected(module)
        answer = rows.send(client, "POST", "/preflight", dict(wanted, phones=rows.names))
    return dict(warned(module, answer), changed=False)


def main() -> None:
    options = dict(selection_options(), parameters={"type": "dict"}, reset={"type": "bool", "default": False})
    selection: dict[str, t.Any] = {"mutually_exclusive": [("phones", "csv_file")]}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **selection), work)


if __name__ == "__main__":
    main()
