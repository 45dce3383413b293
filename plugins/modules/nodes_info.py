#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nodes_info
short_description: Show the cluster's nodes and whether they all have the same administrator
version_added: 0.1.0
description:
  - Shows the nodes that the first node knows, and whether each of them has the current CTL file.
  - It can check that every subscriber accepts the administrator's name and password.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  check:
    description: Check every subscriber. The task reports the nodes that have a different administrator or cannot be
      reached.
    type: bool
    default: false
seealso:
  - module: ucm.capf.nodes
"""

EXAMPLES = r"""
- name: Check that all nodes can be reached and have the same administrator
  ucm.capf.nodes_info:
    check: true
  register: capf_nodes_found
  failed_when: capf_nodes_found is failed or capf_nodes_found.problems | length > 0
"""

RETURN = r"""
nodes:
  description: Name, roles, administration API, certificates as fingerprints, and whether the node has the current CTL
    file.
  returned: success
  type: list
  elements: dict
  sample: [{name: node1.example.com, first_node: true, call_processing: true, tftp: true}]
problems:
  description: The problem of each subscriber that could not be reached, by its name; empty if O(check=false).
  returned: success
  type: dict
  sample: {tftp1.example.com: Connection refused}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    nodes = client.get("/nodes")["nodes"]
    problems = client.send("POST", "/nodes/check", {})["problems"] if module.params["check"] else {}
    found = {name: problem for name, problem in problems.items() if problem}
    return {"changed": False, "nodes": nodes, "problems": found}


def main() -> None:
    options = {"check": {"type": "bool", "default": False}}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
