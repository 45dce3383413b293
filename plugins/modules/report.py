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
  - Writes the CAPF report of all phones, or of those that match, as CSV for spreadsheets, as JSON for other programs,
    or as a self-contained HTML page with charts that can be viewed and printed.
  - The report is streamed to the file, so its size does not matter.
  - The report can contain authentication strings, which are secrets, so the file is written with mode 0600.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.phone_fields.criteria
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
  rollout:
    description: Name of a rollout. Report only phones whose current operation was scheduled by its wave O(wave).
    type: str
  wave:
    description: Number of a wave of the rollout that was started.
    type: int
  rollout_id:
    description: The id of the rollout. The default is the latest rollout with the name O(rollout).
    type: int
  dest:
    description: The file to write, on the host that runs the module.
    type: path
    required: true
  format:
    description:
      - V(csv) has one phone per row, and V(json) is a list with one phone per element.
      - V(html) is a page with statistics and charts of all phones, and a table of the first 1000.
    type: str
    choices: [csv, json, html]
    default: csv
  authentication_strings:
    description: Show or hide the authentication strings.
    type: str
    choices: [show, hide]
    default: show
seealso:
  - module: ucm.capf.phones_info
  - module: ucm.capf.rollout_report
"""

EXAMPLES = r"""
- name: Write the report of all phones
  ucm.capf.report:
    dest: capf-report.csv

- name: Write the strings of a wave for the people in Berlin
  ucm.capf.report:
    dest: berlin.csv
    rollout: night
    wave: 1
    criteria:
      - field: device_pool
        value: Berlin
      - field: authentication_string
        pattern: is not empty

- name: Write a page with charts for management
  ucm.capf.report:
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
  description: Number of phones in the report.
  returned: success
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, criteria_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._report import write
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {
        "criteria": module.params["criteria"],
        "format": module.params["format"],
        "authentication_strings": module.params["authentication_strings"] == "show",
    }
    if module.params["rollout"] is not None:
        names = {"rollout": "rollout", "rollout_id": "rollout_id", "number": "wave"}
        wanted["wave"] = {name: module.params[option] for name, option in names.items()}
    return write(module, module.params["dest"], lambda handle: client.download("/reports/capf", wanted, handle))


def main() -> None:
    options = dict(
        criteria_options(),
        rollout={"type": "str"},
        wave={"type": "int"},
        rollout_id={"type": "int"},
        dest={"type": "path", "required": True},
        format={"type": "str", "choices": ["csv", "json", "html"], "default": "csv"},
        authentication_strings={"type": "str", "choices": ["show", "hide"], "default": "show", "no_log": False},
    )
    rules: dict[str, t.Any] = {
        "required_together": [("rollout", "wave")],
        "required_by": {"rollout_id": "rollout"},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
