#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trace
short_description: Configure the trace of the CAPF server
version_added: 0.1.0
description:
  - Sets whether the server writes trace files, their level of detail, their number and their size, as Serviceability
    does. Settings that are omitted are left alone.
  - A change takes effect immediately. Servers that share a database apply it when they next start.
  - Trace files contain no secrets. Read them with M(ucm.capf.trace_info), or with C(capf trace show) on the node.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  trace_on:
    description: Write trace files (Trace On). Existing files are kept. The initial value is V(true).
    type: bool
  debug_trace_level:
    description:
      - Level of detail (Debug Trace Level). The initial value is V(Significant).
      - V(Error) writes errors (log level error). V(Special) adds malformed sessions and sessions over a limit
        (warning).
      - V(Significant) adds every session and every start of the service (info). V(Detailed) adds every step of a
        session (debug).
    type: str
    choices: [Error, Special, Significant, Detailed]
  maximum_number_of_files:
    description:
      - Number of trace files to keep, from 2 to 500 (Maximum No. of Files). The oldest file is deleted when a new one
        is started. The initial value is V(50).
      - Files that Troubleshoot writes for a phone do not count.
    type: int
  maximum_file_size:
    description: Maximum size of a trace file in megabytes, from 1 to 10 (Maximum File Size). The initial value is
      V(2).
    type: int
seealso:
  - module: ucm.capf.trace_info
"""

EXAMPLES = r"""
- name: Trace every step of a session
  ucm.capf.trace:
    trace_on: true
    debug_trace_level: Detailed
    maximum_number_of_files: 20
"""

RETURN = r"""
before:
  description: The settings that change, with their values before.
  returned: success
  type: dict
  sample: {trace_on: false}
after:
  description: The settings that change, with their values after.
  returned: success
  type: dict
  sample: {debug_trace_level: Detailed}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff

_OPTIONS: dict[str, t.Any] = {
    "trace_on": {"type": "bool"},
    "debug_trace_level": {"type": "str", "choices": ["Error", "Special", "Significant", "Detailed"]},
    "maximum_number_of_files": {"type": "int"},
    "maximum_file_size": {"type": "int"},
}


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in _OPTIONS if module.params[name] is not None}
    answer = client.send("PUT", "/trace", dict(wanted, dry_run=module.check_mode))
    return dict(answer, diff=values_diff(answer["before"], answer["after"]))


def main() -> None:
    run(AnsibleModule(dict(connection_options(), **_OPTIONS), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
