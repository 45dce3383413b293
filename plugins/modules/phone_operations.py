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
  - Schedules a certificate operation for every phone of a list, in one request and all or nothing.
  - It is declarative. V(Install/Upgrade) takes only phones that need it, which are phones without LSC, with another
    key than the wanted one, with an LSC of another issuer, or with one that expires within O(renew_before) days. A
    phone for which the same operation is pending is left alone.
  - A session is never disturbed. A phone that is in one, and for which something else is asked than what that session
    does, stays as it is, is skipped, and is warned of; ask again when its session has ended.
  - Where Authentication Mode is V(By Authentication String), the server makes a string for every phone that has none in
    the CSV file. Strings are never returned here; M(ucm.capf.report) writes them to a file.
  - It warns where the enterprise parameter TFTP Encrypted Config is True and phones authenticate by string. Such
    a phone may not recover until its string is entered.
  - Settings take effect when the phone is reset, which M(ucm.capf.phone_reset) does.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection
  - ucm.capf.phone_fields.operation
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
      - With O(force=true) an operation that has ended is scheduled again, and so are V(Delete) while the phone has
        an LSC, and V(Troubleshoot).
options:
  csv_file:
    description:
      - CSV file with one phone a row, on the host that runs the module.
      - The columns C(authentication_mode), C(key_order), C(key_size), C(ec_key_size) and C(authentication_string) say
        it for that phone.
  only:
    description: Device names of the CSV file that are taken; without it all of them are.
    type: list
    elements: str
  operation:
    description:
      - The Certificate Operation.
      - V(No Pending Operation) cancels what is pending, except for phones that are in a session.
      - V(Delete) and V(Troubleshoot) are refused for phones that have no certificate.
    type: str
    choices: [Install/Upgrade, Delete, Troubleshoot, No Pending Operation]
    default: Install/Upgrade
  completes_by:
    description:
      - Operation Completes By, as in V(2030-01-31T06:00), in the first node's time unless it has an offset.
      - Without it the enterprise parameter CAPF Operation Expires in (days) says how long.
    type: str
  renew_before:
    description: Days before its expiry from which an LSC is renewed.
    type: int
    default: 0
  force:
    description: Whether phones with a right LSC get a new one too.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Schedule an LSC for every phone of the file that needs one
  ucm.capf.phone_operations:
    administrator: admin
    password: "{{ capf_password }}"
    csv_file: phones.csv

- name: Renew LSCs that expire within 60 days, with a larger key
  ucm.capf.phone_operations:
    administrator: admin
    password: "{{ capf_password }}"
    phones:
      - SEP001122334455
      - SEP001122334466
    authentication_mode: By Existing Certificate (precedence to LSC)
    key_size: 3072
    renew_before: 60
    completes_by: "2035-01-31T06:00"

- name: Cancel what is pending
  ucm.capf.phone_operations:
    administrator: admin
    password: "{{ capf_password }}"
    phones: [SEP001122334455]
    operation: No Pending Operation
"""

RETURN = r"""
counts:
  description: How many phones were scheduled, are pending already, were skipped, and were cancelled.
  returned: success
  type: dict
  sample: {scheduled: 180, pending: 4, skipped: 16, cancelled: 0}
scheduled:
  description: Device names for which the operation was scheduled, or would be.
  returned: success
  type: list
  elements: str
pending:
  description: Device names for which the same operation is pending already.
  returned: success
  type: list
  elements: str
cancelled:
  description: Device names whose operation was cancelled, or would be.
  returned: success
  type: list
  elements: str
skipped_because:
  description:
    - How many phones were skipped for which reason. Those that were C(in a session now) may need what was asked for
      again.
  returned: success
  type: dict
  sample: {LSC is right: 16}
results:
  description: The first 100 phones that change, with the reason, before and after.
  returned: success
  type: list
  elements: dict
completes_by:
  description: Operation Completes By of what was scheduled, with the first node's offset.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    ONE_SELECTION,
    connection_options,
    key_options,
    selection_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._csv import SECRET_COLUMN, read
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run

_DEFAULTS = ("operation", "authentication_mode", "key_order", "key_size", "ec_key_size", "completes_by", "force")
_OPERATIONS = ["Install/Upgrade", "Delete", "Troubleshoot", "No Pending Operation"]


def _item(phone: dict[str, t.Any]) -> dict[str, t.Any]:
    columns = ("device_name", SECRET_COLUMN, *tuple(key_options()))
    return {name: phone[name] for name in columns if name in phone}


def _ask(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in _DEFAULTS}
    wanted.update(renew_before_days=module.params["renew_before"], dry_run=module.check_mode)
    if module.params["csv_file"] is None:
        return client.send("POST", "/operations", dict(wanted, phones=module.params["phones"]))
    rows = read(module.params["csv_file"]).only(module.params["only"])
    try:
        return client.send("POST", "/operations", dict(wanted, items=[_item(phone) for phone in rows.phones]))
    except CapfError as error:
        raise rows.located(error) from None


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    answer = _ask(module, client)
    skipped = answer.pop("skipped")
    for warning in answer.pop("warnings"):
        module.warn(warning)
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
        operation={"type": "str", "choices": _OPERATIONS, "default": "Install/Upgrade"},
        completes_by={"type": "str"},
        renew_before={"type": "int", "default": 0},
        force={"type": "bool", "default": False},
        **key_options(),
    )
    rules = dict(ONE_SELECTION, required_by={"only": "csv_file"})
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
