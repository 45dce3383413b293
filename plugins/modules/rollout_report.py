#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_report
short_description: Write the report of an LSC rollout as CSV or HTML
version_added: 0.1.0
description:
  - Writes the report of the latest rollout with a name, whether it is running, done, stopped or aborted.
  - The report contains no authentication strings. The file is written with mode 0600.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
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
  name:
    description: Name of the rollout.
    type: str
    required: true
  rollout_id:
    description: The id of the rollout. The default is the latest rollout with the name O(name).
    type: int
  dest:
    description: The file to write, on the host that runs the module.
    type: path
    required: true
  format:
    description:
      - V(csv) has one phone per row, with its site, wave, part of the rollout, Operation Status, duration in seconds,
        what to do, and whether somebody has to visit it.
      - V(html) is a self-contained page that can be viewed and printed, with the waves and their verdicts, the
        failures by status, the slowest phones, and the first 1000 phones to visit, by site.
    type: str
    choices: [csv, html]
    default: csv
seealso:
  - module: ucm.capf.rollout_info
  - module: ucm.capf.report
"""

EXAMPLES = r"""
- name: Write a page for people who were not present
  ucm.capf.rollout_report:
    name: night
    dest: rollout.html
    format: html
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
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._report import write
from ansible_collections.ucm.capf.plugins.module_utils._result import run
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, query_of


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = "{}/report{}".format(path_of(module.params), query_of(module.params, format=module.params["format"]))
    return write(module, module.params["dest"], lambda handle: client.download(path, None, handle))


def main() -> None:
    options: dict[str, t.Any] = {
        "name": {"type": "str", "required": True},
        "rollout_id": {"type": "int"},
        "dest": {"type": "path", "required": True},
        "format": {"type": "str", "choices": ["csv", "html"], "default": "csv"},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
