#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trace_info
short_description: Show the trace settings and trace files of the CAPF server
version_added: 0.1.0
description:
  - Shows the trace settings, lists the server's trace files and those that Troubleshoot has written for phones, and
    returns the content of one file if O(name) is set.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  name:
    description: Name of the file to read, such as V(capf.log) or V(SEP001122334455-LSC.txt).
    type: str
  last:
    description: Number of lines to return from the end of the file, at most 100000.
    type: int
    default: 1000
seealso:
  - module: ucm.capf.trace
"""

EXAMPLES = r"""
- name: Read the last lines of the trace
  ucm.capf.trace_info:
    name: capf.log
    last: 50
  register: trace

- name: Show them
  ansible.builtin.debug:
    msg: "{{ trace.content.splitlines() }}"
"""

RETURN = r"""
settings:
  description: The trace settings.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the setting, an option of M(ucm.capf.trace).
      type: str
    value:
      description: Its value.
      type: raw
    in_force:
      description: The value that is in effect.
      type: raw
    default:
      description: The initial value.
      type: raw
    unit:
      description: The unit of the value.
      type: str
    minimum:
      description: The smallest value, if there is one.
      type: int
    maximum:
      description: The largest value, if there is one.
      type: int
    choices:
      description: The possible values, if the setting is a choice.
      type: list
      elements: str
    help:
      description: What the setting means.
      type: str
problem:
  description: Why trace files cannot be written; empty if they can.
  returned: success
  type: str
files:
  description: The trace files, starting with the server's latest one.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the file.
      type: str
    kind:
      description: V(trace) of the server, or V(Troubleshoot) of a phone.
      type: str
    size:
      description: Its size in bytes.
      type: int
    modified:
      description: Time of the last write.
      type: str
content:
  description: The last lines of the file O(name).
  returned: when O(name) is given
  type: str
"""

import typing as t
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    result = dict(client.get("/trace"), **client.get("/trace/files"))
    name = module.params["name"]
    if name is not None:
        result["content"] = client.text("/trace/files/{}?last={}".format(quote(name, safe=""), module.params["last"]))
    return dict(result, changed=False)


def main() -> None:
    options = {"name": {"type": "str"}, "last": {"type": "int", "default": 1000}}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
