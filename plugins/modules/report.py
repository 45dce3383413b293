#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write the CAPF report as CSV, JSON or HTML
version_added: 0.1.0
description:
  - Writes the CAPF report of all phones, or of those that match, as CSV that opens in a spreadsheet, as JSON for other
    programs, or as one HTML page with charts, which needs nothing else to be shown or printed.
  - The report goes to the file in pieces, so that its size does not matter.
  - It shows authentication strings, which are secrets, so the file is written with mode 0600.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection.criteria
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows how many phones the report has, never its content.
  idempotent:
    support: full
options:
  dest:
    description: The file to write, on the host that runs the module.
    type: path
    required: true
  format:
    description:
      - V(csv) has one phone a row, and V(json) is a list with one phone an element.
      - V(html) is a page with numbers and charts of all phones, and a table of the first 1000.
    type: str
    choices: [csv, json, html]
    default: csv
  authentication_strings:
    description: Whether the report shows the authentication strings.
    type: str
    choices: [show, hide]
    default: show
"""

EXAMPLES = r"""
- name: Write the report of all phones
  ucm.capf.report:
    administrator: admin
    password: "{{ capf_password }}"
    dest: capf-report.csv

- name: Write the strings of Berlin for the people on site
  ucm.capf.report:
    administrator: admin
    password: "{{ capf_password }}"
    dest: berlin.csv
    criteria:
      - field: device_pool
        value: Berlin
      - field: authentication_string
        pattern: is not empty

- name: Write a page with charts for the management
  ucm.capf.report:
    administrator: admin
    password: "{{ capf_password }}"
    dest: capf-report.html
    format: html
    authentication_strings: hide
"""

RETURN = r"""
dest:
  description: The file.
  returned: success
  type: str
phones:
  description: How many phones the report has.
  returned: success
  type: int
"""

import csv
import filecmp
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, criteria_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._files import OWNER_ALONE, place, temporary_file
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff

_HEAD_CHARACTERS = 2000
_PAGE_COUNT = re.compile(r'<meta name="phones" content="([0-9]+)">')


def _phones(path: str) -> int:
    """Return how many phones a report has, of whatever format it is; 0 for a file that is none."""
    with open(path, newline="", encoding="utf-8", errors="replace") as handle:
        head = handle.read(_HEAD_CHARACTERS)
        handle.seek(0)
        if head.startswith("["):
            return sum(1 for line in handle if line.startswith("{"))
        if head.startswith("<"):
            found = _PAGE_COUNT.search(head)
            return int(found.group(1)) if found else 0
        try:
            return max(0, sum(1 for row in csv.reader(handle)) - 1)
        except csv.Error:
            return 0


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = os.path.abspath(module.params["dest"])
    wanted = {
        "criteria": module.params["criteria"],
        "format": module.params["format"],
        "authentication_strings": module.params["authentication_strings"] == "show",
    }
    with temporary_file(module) as (handle, temporary):
        client.download("/reports/capf", wanted, handle)
        handle.flush()
        after, before, same = _phones(temporary), 0, False
        if os.path.isfile(path):
            before = _phones(path)
            same = os.stat(path).st_mode & 0o777 == OWNER_ALONE and filecmp.cmp(path, temporary, shallow=False)
        if not same and not module.check_mode:
            place(module, temporary, path)
    return {
        "changed": not same,
        "dest": path,
        "phones": after,
        "diff": values_diff({"phones": before}, {"phones": after}),
    }


def main() -> None:
    options = dict(
        criteria_options(),
        dest={"type": "path", "required": True},
        format={"type": "str", "choices": ["csv", "json", "html"], "default": "csv"},
        authentication_strings={"type": "str", "choices": ["show", "hide"], "default": "show", "no_log": False},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
