#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phone_unlock
short_description: Unlock phones after wrong authentication strings
version_added: 0.1.0
description:
  - Ten wrong authentication strings from one address lock the phone for that address. The first lock lasts ten minutes
    unless the server is configured otherwise, and each later one lasts longer. The phone can still enrol from other
    addresses. M(ucm.capf.phones_info) shows in C(locked_addresses) for how many addresses the phone is locked, and in
    C(locked_until) until when.
  - This module unlocks a phone for all addresses and resets the number of wrong strings for its operation.
  - It does not reset an address's limit of wrong strings for all phones in 24 hours. If many phones share one address
    behind a NAT, raise C(capf_server_wrong_strings_per_day) of the role P(ucm.capf.capf_server#role) instead.
  - Phones that are not locked are left alone.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
seealso:
  - module: ucm.capf.phones_info
"""

EXAMPLES = r"""
- name: Let two phones try again at once
  ucm.capf.phone_unlock:
    phones:
      - SEP001122334455
      - SEP001122334466
"""

RETURN = r"""
unlocked:
  description: The first 100 phones that were locked.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334455]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    ONE_SELECTION,
    connection_options,
    selection_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import selected
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run, warned


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    rows = selected(module)
    wanted = {"phones": rows.names, "dry_run": module.check_mode}
    answer = warned(module, rows.send(client, "POST", "/phones/unlock", wanted))
    locks = [
        {"device_name": name, "before": {"locked": True}, "after": {"locked": False}} for name in answer["unlocked"]
    ]
    return {"changed": answer["changed"], "unlocked": capped(answer["unlocked"]), "diff": diff_of(locks)}


def main() -> None:
    options = dict(connection_options(), **selection_options())
    run(AnsibleModule(options, supports_check_mode=True, **ONE_SELECTION), work)


if __name__ == "__main__":
    main()
