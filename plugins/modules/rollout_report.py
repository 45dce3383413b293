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
  - Writes the report of the latest rollout of a name, whether it runs, is done, was stopped or was aborted.
  - It holds no authentication string. The file is written with mode 0600.
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
    description: The name of the rollout.
    type: str
    required: true
  rollout_id:
    description: The id of the rollout; without it, the latest of O(name) is meant.
    type: int
  dest:
    description: The file to write, on the host that runs the module.
    type: path
    required: true
  format:
    description:
      - V(csv) has one phone a row, with its site, wave, part of the rollout, Operation Status, seconds, what to do, and
        whether somebody has to visit it.
      - V(html) is a page that needs nothing else to be shown or printed, with the waves and how they were judged, the
        failures by status, the slowest phones, and the phones to visit by site, the first 1000 of them.
    type: str
    choices: [csv, html]
    default: csv
seealso:
  - module: ucm.capf.rollout_info
  - module: ucm.capf.report
"""

EXAMPLES = r"""
- name: Write a page for the people who were not there that night
  ucm.capf.rollout_report:
    administrator: admin
    password: "{{ capf_password }}"
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
  description: How many phones the report has.
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
    return write(module, lambda handle: client.download(path, None, handle))


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
