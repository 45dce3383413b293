#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phone_operations
short_description: Schedule certificate operations for phones, in bulk
version_added: 0.1.0
description:
  - Schedules a certificate operation for every phone of a list in one request, which is applied completely or not at
    all.
  - The module is declarative. V(Install/Upgrade) is scheduled only for phones that need it. These are phones without
    an LSC, with a key of a different kind or size than requested, with an LSC from a different issuer, or with one
    that expires within O(renew_before) days. A phone for which the same operation is already pending is left alone.
  - A session is never disturbed. If a phone is in a session that does something different from what you request, it is
    skipped with a warning; run the task again when its session has ended.
  - If Authentication Mode is V(By Authentication String), the server generates a string for every phone without one in
    the CSV file. This module never returns strings; M(ucm.capf.report) writes them to a file.
  - The module warns if phones authenticate by string while the enterprise parameter TFTP Encrypted Config is True.
    Such a phone may not recover until its string is entered.
  - Settings take effect when the phone is reset, for example by M(ucm.capf.phone_reset).
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection
  - ucm.capf.phone_fields.operation
  - ucm.capf.confirm
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A finished operation is scheduled again with O(force=true), for V(Delete) while the phone has an LSC, and
        always for V(Troubleshoot).
options:
  csv_file:
    description:
      - CSV file on the host that runs the module, with one phone per row.
      - The columns for settings of an operation, such as C(key_order), and C(authentication_string) apply to the
        phone of the row. Other columns are those of M(ucm.capf.phones).
  only:
    description: Use only these device names of the CSV file. By default, all of them are used.
    type: list
    elements: str
  completes_by:
    description:
      - Operation Completes By, such as V(2030-01-31T06:00), in the first node's time zone unless it has an offset.
      - A date without a time means the end of that day.
      - By default, the enterprise parameter CAPF Operation Expires in (days) determines the time.
    type: str
  renew_before:
    description: Renew an LSC that expires within this number of days.
    type: int
    default: 0
  force:
    description: Also issue a new LSC to phones whose LSC is up to date.
    type: bool
    default: false
seealso:
  - module: ucm.capf.phone_operations_wait
  - module: ucm.capf.phone_reset
  - module: ucm.capf.phones_info
"""

EXAMPLES = r"""
- name: Schedule an LSC for every phone of the file that needs one
  ucm.capf.phone_operations:
    csv_file: phones.csv

- name: Renew LSCs that expire within 60 days, with a larger key
  ucm.capf.phone_operations:
    phones:
      - SEP001122334455
      - SEP001122334466
    authentication_mode: By Existing Certificate (precedence to LSC)
    key_size: 3072
    renew_before: 60
    completes_by: "2035-01-31T06:00"

- name: Cancel a pending operation
  ucm.capf.phone_operations:
    phones: [SEP001122334455]
    operation: No Pending Operation
"""

RETURN = r"""
counts:
  description: Numbers of phones that were scheduled, already pending, skipped and cancelled.
  returned: success
  type: dict
  sample: {scheduled: 180, pending: 4, skipped: 16, cancelled: 0}
scheduled:
  description: Device names for which the operation was scheduled, or would be.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334455]
pending:
  description: Device names for which the same operation was already pending.
  returned: success
  type: list
  elements: str
  sample: []
cancelled:
  description: Device names whose operation was cancelled, or would be.
  returned: success
  type: list
  elements: str
  sample: []
skipped_because:
  description:
    - Number of skipped phones by reason. Run the task again for phones that were C(in a session now).
  returned: success
  type: dict
  sample: {LSC is right: 16}
results:
  description: The first 100 phones that change, with the reason and the values before and after.
  returned: success
  type: list
  elements: dict
  sample: [{device_name: SEP001122334455, reason: no LSC, before: {}, after: {operation: Install/Upgrade}}]
completes_by:
  description: Operation Completes By of the scheduled operations, with the first node's UTC offset.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    ONE_SELECTION,
    confirm_option,
    connection_options,
    key_options,
    selection_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import SECRET_COLUMN, read
from ansible_collections.ucm.capf.plugins.module_utils._phone_fields import OPERATION_SETTINGS, OPERATIONS
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run, warned

_DEFAULTS = ("operation", *OPERATION_SETTINGS, "completes_by", "force", "confirm")


def _item(phone: dict[str, t.Any]) -> dict[str, t.Any]:
    columns = ("device_name", SECRET_COLUMN, *tuple(key_options()))
    return {name: phone[name] for name in columns if name in phone}


def _ask(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in _DEFAULTS}
    wanted.update(renew_before=module.params["renew_before"], dry_run=module.check_mode)
    if module.params["csv_file"] is None:
        return client.send("POST", "/operations", dict(wanted, phones=module.params["phones"]))
    rows = read(module.params["csv_file"]).warn(module).only(module.params["only"])
    return rows.send(client, "POST", "/operations", dict(wanted, items=[_item(phone) for phone in rows.phones]))


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    answer = warned(module, _ask(module, client))
    skipped = answer.pop("skipped")
    return dict(
        answer,
        skipped_because={reason: len(names) for reason, names in skipped.items()},
        results=capped(answer["results"]),
        diff=diff_of(answer["results"]),
    )


def main() -> None:
    options = dict(
        selection_options(),
        only={"type": "list", "elements": "str"},
        operation={"type": "str", "choices": OPERATIONS, "default": "Install/Upgrade"},
        completes_by={"type": "str"},
        renew_before={"type": "int", "default": 0},
        force={"type": "bool", "default": False},
        **confirm_option(),
        **key_options(),
    )
    rules = dict(ONE_SELECTION, required_by={"only": "csv_file"})
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
