#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phones_info
short_description: Find phones by LSC status and other fields
version_added: 0.1.0
description:
  - Finds the phones that match all criteria, sorted and paged as on the administration pages.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.phone_fields.criteria
  - ucm.capf.phone_fields.order
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  descending:
    description: Sort in descending order.
    type: bool
    default: false
  page:
    description: Number of the page to return, starting at 1.
    type: int
    default: 1
  rows_per_page:
    description: Number of phones per page, from 1 to 100000.
    type: int
    default: 50
  authentication_strings:
    description: Return the authentication strings. They are secrets, so set C(no_log) on the task.
    type: bool
    default: false
seealso:
  - module: ucm.capf.phones
  - module: ucm.capf.report
"""

EXAMPLES = r"""
- name: Find phones in Berlin whose operation failed
  ucm.capf.phones_info:
    criteria:
      - field: device_pool
        value: Berlin
      - field: lsc_status
        pattern: contains
        value: Failed

- name: Find the phones whose LSC expires first
  ucm.capf.phones_info:
    criteria:
      - field: lsc_expires
        pattern: is before
        value: "2031-01-31"
    sort: lsc_expires
    rows_per_page: 20

- name: List the names of all phones without an LSC
  ucm.capf.phones_info:
    criteria:
      - field: lsc
        value: Not Installed
    fields: [device_name]
    rows_per_page: 100000
"""

RETURN = r"""
total:
  description: Number of phones that match.
  returned: success
  type: int
phones:
  description:
    - The phones on this page, each with its settings, its operation and its LSC.
    - C(refusals) is the number of refused attempts to claim the phone's latest operation. C(last_refusal),
      C(refused_at) and C(refused_from) give the reason, time and address of the last one. A refused operation stays
      pending.
    - C(locked_addresses) is the number of addresses for which the phone is locked after wrong authentication strings,
      and C(locked_until) is the time at which the last of these locks ends.
  returned: success
  type: list
  elements: dict
  sample:
    - device_name: SEP001122334455
      lsc: Installed
      operation_status: Upgrade Success
      refusals: 1
      last_refusal: "Upgrade Failed: Invalid Authentication String: a wrong string"
      refused_at: "2030-01-31T06:00:00+01:00"
      refused_from: 192.0.2.17
page:
  description: Number of this page.
  returned: success
  type: int
rows_per_page:
  description: Number of phones per page.
  returned: success
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, criteria_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._phone_fields import SORTABLE_FIELDS
from ansible_collections.ucm.capf.plugins.module_utils._result import run

_SEARCH = ("criteria", "sort", "descending", "page", "rows_per_page", "fields", "authentication_strings")


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in _SEARCH}
    return dict(client.send("POST", "/phones/find", wanted), changed=False)


def main() -> None:
    options = dict(
        criteria_options(),
        sort={"type": "str", "default": "device_name", "choices": SORTABLE_FIELDS},
        descending={"type": "bool", "default": False},
        page={"type": "int", "default": 1},
        rows_per_page={"type": "int", "default": 50},
        fields={"type": "list", "elements": "str", "choices": SORTABLE_FIELDS},
        authentication_strings={"type": "bool", "default": False, "no_log": False},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
