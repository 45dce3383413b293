#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phone_import
short_description: Import the data of an earlier CAPF
version_added: 0.1.0
description:
  - Registers the phones of an earlier CAPF with their settings, records their LSCs, and schedules the operations that
    are pending there, thousands in one request.
  - A phone whose pending operation, authentication string or certificate cannot be taken over is imported without it;
    RV(not_taken) names it with the reason, and the module warns. With O(strict=true), the import is applied completely
    or not at all. An invalid device name or setting always stops the import; it is named by its line or device.
  - A pending operation is not taken over if it would certainly fail here, for example because the phone authenticates
    by an LSC that has expired or whose issuer is not trusted.
  - Pending operations V(Delete) of many phones are imported only with O(confirm).
  - Phones without a pending operation that would fail by their settings are named in a warning.
  - Each certificate is checked as a session checks it. The module warns about those that a session does not accept.
  - An LSC keeps its real issuer, so that M(ucm.capf.phone_operations) schedules the phone for an LSC from this server.
    Until then the phone can authenticate with the old LSC only while M(ucm.capf.capf_certificate) trusts the earlier
    CAPF. Trust it before the import, so that LSCs without their issuer's key identifier are attributed to it.
  - A phone that is already registered keeps its settings on this server; differences are returned as conflicts. Its
    LSC is imported only if this server has no certificate on record for it.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.confirm
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  csv_file:
    description:
      - File on the host that runs the module. It is a CAPF report, as written by M(ucm.capf.report) and the
        administration pages, or a CSV file with the columns of M(ucm.capf.phones) and C(operation),
        C(authentication_string), C(completes_by), C(operation_status), C(certificate) (PEM) and
        C(serial_number). An empty cell means that the setting is not specified. The values of C(operation) are those of
        M(ucm.capf.phone_operations) or O(capfd_database).
      - An export of another system with titles such as C(Device Name) is read like a report. Columns with unknown
        titles are named in a warning and ignored.
      - A report contains no certificates. Its columns about LSCs are ignored. The module warns about operations that
        failed on the earlier CAPF.
      - If the time of an operation is in the past, the operation gets the default time of new operations. The server
        generates missing authentication strings.
    type: path
  capfd_database:
    description:
      - SQLite database of the public C(capfd) on the host that runs the module. It is opened read-only.
      - In C(operation), C(install) becomes V(Install/Upgrade), C(delete) becomes V(Delete), C(fetch) becomes
        V(Troubleshoot), which requires a certificate on record, and C(none) means no operation.
      - In C(authentication), C(password) becomes V(By Authentication String), C(no password), C(none) and C(null)
        become V(By Null String), C(certificate) and C(lsc) become V(By Existing Certificate (precedence to LSC)), and
        C(mic) becomes V(By Existing Certificate (precedence to MIC)). Without the column, a phone with a C(password)
        gets V(By Authentication String) and a phone without one gets V(By Null String). Case does not matter.
      - A password of 4 to 10 digits is stored, encrypted, for a pending operation; it is ignored if no operation is
        pending.
      - Phones with a C(curve_name) generate EC keys; other phones generate RSA keys of C(key_size) bits.
      - A C(certificate) whose name identifies it as a MIC is not recorded; the phone is marked as having a MIC.
    type: path
  strict:
    description: Import everything of every phone, or nothing at all.
    type: bool
    default: false
seealso:
  - module: ucm.capf.phones
  - module: ucm.capf.capf_certificate
  - module: ucm.capf.report
"""

EXAMPLES = r"""
- name: Import the report of an earlier CAPF
  ucm.capf.phone_import:
    csv_file: earlier-report.csv

- name: Import the database of capfd
  ucm.capf.phone_import:
    capfd_database: capf.sqlite3
  register: earlier

- name: Import the database of capfd only if nothing has to be left out
  ucm.capf.phone_import:
    capfd_database: capf.sqlite3
    strict: true

- name: Show the values that differ on this server
  ansible.builtin.debug:
    var: earlier.conflicts
"""

RETURN = r"""
counts:
  description:
    - Numbers of new phones, certificates and operations, of unchanged phones, of conflicts, and of the parts of phones
      that were not taken.
  returned: success
  type: dict
  sample: {created: 200, certificates: 180, operations: 12, unchanged: 0, conflicts: 0, not_taken: 1}
results:
  description: The first 100 phones for which something was imported. Strings are never shown.
  returned: success
  type: list
  elements: dict
  sample: [{device_name: SEP001122334455, before: {device_pool: Oslo}, after: {device_pool: Berlin}}]
conflicts:
  description: The first 100 values that differ from those on this server, which are kept.
  returned: success
  type: list
  elements: dict
  contains:
    device_name:
      description: The phone.
      type: str
    field:
      description: The field that differs.
      type: str
    here:
      description: Its value on this server.
      type: str
    imported:
      description: Its value in the import.
      type: str
not_taken:
  description: The first 100 operations, strings and certificates that were left out.
  returned: success
  type: list
  elements: dict
  contains:
    device_name:
      description: The phone.
      type: str
    field:
      description: The part that was left out.
      type: str
      sample: authentication_string
    message:
      description: Why, and what to do.
      type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import confirm_option, connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._earlier import read_capfd, read_csv
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run, warned


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = module.params["csv_file"]
    rows = read_capfd(module.params["capfd_database"]) if path is None else read_csv(path).warn(module)
    request = {name: module.params[name] for name in ("strict", "confirm")}
    request.update(phones=rows.phones, dry_run=module.check_mode)
    answer = warned(module, rows.send(client, "POST", "/phones/import", request))
    shown = {name: capped(answer[name]) for name in ("results", "conflicts", "not_taken")}
    return dict(answer, diff=diff_of(answer["results"]), **shown)


def main() -> None:
    options = {
        "csv_file": {"type": "path"},
        "capfd_database": {"type": "path"},
        "strict": {"type": "bool", "default": False},
        **confirm_option(),
    }
    one: dict[str, t.Any] = {
        "mutually_exclusive": [("csv_file", "capfd_database")],
        "required_one_of": [("csv_file", "capfd_database")],
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **one), work)


if __name__ == "__main__":
    main()
