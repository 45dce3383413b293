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
  - Registers the phones of an earlier CAPF with their settings, keeps their LSCs on record, and schedules the
    operations that are pending there, thousands in one request. It is all or nothing; a bad item is named by its line
    or device.
  - An LSC keeps its real issuer, so that M(ucm.capf.phone_operations) schedules the phone for an LSC of this server.
    Until then the phone can authenticate by it only while M(ucm.capf.capf_certificate) trusts the earlier CAPF. Trust
    it before the import, so that LSCs that do not name the key of their issuer are counted as its own.
  - A phone that is registered already keeps what this server knows of it; what differs is returned as a conflict. It
    only gets the LSC of the import where no certificate of it is on record.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  csv_file:
    description:
      - A CAPF report, as M(ucm.capf.report) and the administration pages write it, or a CSV file with the columns of
        M(ucm.capf.phones) and C(operation), C(authentication_string), C(completes_by), C(certificate) (PEM) and
        C(serial_number), on the host that runs the module. Empty cells are settings that are not given. The words of
        C(operation) are those of M(ucm.capf.phone_operations) or of O(capfd_database).
      - A report holds no certificates. What it says of LSCs and of operations that have ended is passed over.
      - The time of an operation that is past gives way to the time that new operations get, and the server makes the
        strings that are missing.
    type: path
  capfd_database:
    description:
      - SQLite database of the public C(capfd), on the host that runs the module; it is only read.
      - Of C(operation), C(install) becomes V(Install/Upgrade), C(delete) V(Delete) and C(fetch) V(Troubleshoot), which
        is for phones with a certificate on record; C(none) is no operation.
      - Of C(authentication), C(password) becomes V(By Authentication String), C(no password), C(none) or C(null)
        V(By Null String), C(certificate) or C(lsc) V(By Existing Certificate (precedence to LSC)) and C(mic)
        V(By Existing Certificate (precedence to MIC)). Without it, a C(password) makes the difference. Upper and lower
        case are the same.
      - A password of 4 to 10 digits is kept, encrypted, for a pending operation; without one it is of no use.
      - Phones with a C(curve_name) make EC keys, others RSA keys of C(key_size).
      - A C(certificate) of which the name says that it is a MIC is not recorded; it makes the phone one with a MIC.
    type: path
seealso:
  - module: ucm.capf.phones
  - module: ucm.capf.capf_certificate
  - module: ucm.capf.report
"""

EXAMPLES = r"""
- name: Import the report of an earlier CAPF
  ucm.capf.phone_import:
    administrator: admin
    password: "{{ capf_password }}"
    csv_file: earlier-report.csv

- name: Import the database of capfd
  ucm.capf.phone_import:
    administrator: admin
    password: "{{ capf_password }}"
    capfd_database: capf.sqlite3
  register: earlier

- name: Show what this server knows otherwise
  ansible.builtin.debug:
    var: earlier.conflicts
"""

RETURN = r"""
counts:
  description: How many phones, certificates and operations are new, how many phones stay as they are, and how much
    differs.
  returned: success
  type: dict
  sample: {created: 200, certificates: 180, operations: 12, unchanged: 0, conflicts: 0}
results:
  description: The first 100 phones of which something is new. Strings are never shown.
  returned: success
  type: list
  elements: dict
conflicts:
  description: The first 100 values that differ from what this server knows; they stay as they are here.
  returned: success
  type: list
  elements: dict
  contains:
    device_name:
      description: The phone.
      type: str
    field:
      description: What differs.
      type: str
    here:
      description: Its value on this server.
      type: str
    imported:
      description: Its value in the import.
      type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._earlier import read_capfd, read_csv
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, diff_of, run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = module.params["csv_file"]
    rows = read_capfd(module.params["capfd_database"]) if path is None else read_csv(path)
    try:
        answer = client.send("POST", "/phones/import", {"phones": rows.phones, "dry_run": module.check_mode})
    except CapfError as error:
        raise rows.located(error) from None
    for warning in answer.pop("warnings"):
        module.warn(warning)
    shown = {name: capped(answer[name]) for name in ("results", "conflicts")}
    return dict(answer, diff=diff_of(answer["results"]), **shown)


def main() -> None:
    options = {"csv_file": {"type": "path"}, "capfd_database": {"type": "path"}}
    one = {
        "mutually_exclusive": [("csv_file", "capfd_database")],
        "required_one_of": [("csv_file", "capfd_database")],
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **one), work)


if __name__ == "__main__":
    main()
