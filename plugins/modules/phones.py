#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phones
short_description: Register phones with the CAPF server in bulk
version_added: 0.1.0
description:
  - Registers, changes or removes phones and their CAPF defaults, thousands in one request.
  - A request is applied completely or not at all. An invalid item is named by its index, or by its line in a CSV file.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.phone_fields
  - ucm.capf.confirm
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  phones:
    description: The phones. A setting that is omitted is left alone, or takes its default for a new phone.
  csv_file:
    description:
      - CSV file on the host that runs the module, with one phone per row and columns named as the suboptions of
        O(phones). An empty cell means that the setting is not specified.
      - The column C(authentication_string) is used by M(ucm.capf.phone_operations) and only validated here. Columns
        that begin with C(lab_) are for simulated phones and are ignored. Any other column is an error.
      - The file can also be a report of this collection or another export with titles such as C(Device Name). Columns
        with unknown titles are named in a warning and ignored.
      - Exactly one of O(phones) and O(csv_file) is required.
    type: path
  state:
    description:
      - V(present) registers and changes the phones.
      - V(absent) removes them; the records of their certificates are kept.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: ucm.capf.phones_info
  - module: ucm.capf.phone_import
"""

EXAMPLES = r"""
- name: Register two phones
  ucm.capf.phones:
    phones:
      - device_name: SEP001122334455
        description: Reception
        device_pool: Berlin
        mic: true
        authentication_mode: By Existing Certificate (precedence to MIC)
      - device_name: SEP001122334466
        device_security_mode: Encrypted
        key_order: EC Only
        ec_key_size: 256

- name: Register all phones of a file
  ucm.capf.phones:
    csv_file: phones.csv

- name: Remove a decommissioned phone
  ucm.capf.phones:
    phones:
      - device_name: SEP001122334466
    state: absent

- name: Remove the 25 phones of a closed site
  ucm.capf.phones:
    csv_file: closed-site.csv
    state: absent
    confirm: 25
"""

RETURN = r"""
counts:
  description: Numbers of phones that were created, updated, removed and left unchanged.
  returned: success
  type: dict
  sample: {created: 2, updated: 0, removed: 0, unchanged: 0}
results:
  description: The first 100 phones that change, with the values before and after.
  returned: success
  type: list
  elements: dict
  sample: [{device_name: SEP001122334455, before: {device_pool: Oslo}, after: {device_pool: Berlin}}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    ONE_SELECTION,
    confirm_option,
    connection_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import PHONE_COLUMNS, SECRET_COLUMN, Rows, read
from ansible_collections.ucm.capf.plugins.module_utils._phone_fields import PHONE_SETTINGS
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run, warned

_SENT = (*PHONE_COLUMNS, SECRET_COLUMN)


def _given(phone: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in phone.items() if value is not None and name in _SENT}


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = module.params["csv_file"]
    rows = Rows("", module.params["phones"], []) if path is None else read(path).warn(module)
    phones = [_given(phone) for phone in rows.phones]
    wanted = {"phones": phones, "state": module.params["state"], "confirm": module.params["confirm"]}
    answer = warned(module, rows.send(client, "POST", "/phones", dict(wanted, dry_run=module.check_mode)))
    return dict(answer, results=capped(answer["results"]), diff=diff_of(answer["results"]))


def main() -> None:
    phone = dict({"device_name": {"type": "str", "required": True}}, **PHONE_SETTINGS)
    options = {
        "phones": {"type": "list", "elements": "dict", "options": phone},
        "csv_file": {"type": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        **confirm_option(),
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **ONE_SELECTION), work)


if __name__ == "__main__":
    main()
