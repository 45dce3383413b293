#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files_publish
short_description: Hand CTL file, CAPF certificate and configuration files to all nodes
version_added: 0.1.0
description:
  - The first node hands each further node what it does not have yet. These are the CTL file, the CAPF certificate under
    both its names, and the phones' configuration files.
  - Where a further node has another administrator name or password, it is named before anything changes.
  - A node that cannot be reached is named and the task fails, but the others are done. The next run finishes the rest.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  phones:
    description: Device names of the phones whose configuration files are handed out. Not given, all phones'.
    type: list
    elements: str
seealso:
  - module: ucm.capf.nodes
  - module: ucm.capf.ctl_file
"""

EXAMPLES = r"""
- name: Bring all nodes up to date
  ucm.capf.files_publish:
    administrator: admin
    password: "{{ capf_password }}"

- name: Hand out the configuration files of two phones
  ucm.capf.files_publish:
    administrator: admin
    password: "{{ capf_password }}"
    phones: [SEP001122334455, SEP001122334466]
"""

RETURN = r"""
nodes:
  description:
    - How many files each further node was sent, the first 100 of their names, how many it had, and its problem where it
      has one.
  returned: always
  type: list
  elements: dict
files:
  description: How many files there are for every node.
  returned: always
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def _lines(nodes: list[dict[str, t.Any]]) -> str:
    """Return one line for each file that a node is sent."""
    lines = ["{}: {}\n".format(node["node"], name) for node in nodes for name in node["sent_files"]]
    more = ["{}: ... {} files in all\n".format(n["node"], n["sent"]) for n in nodes if n["sent"] > len(n["sent_files"])]
    return "".join(lines + more)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {"phones": module.params["phones"], "dry_run": module.check_mode}
    answer = client.send("POST", "/nodes/publish", wanted)
    nodes = answer["nodes"]
    diff = {"before": "", "after": _lines(nodes)}
    result = {"changed": answer["changed"], "files": answer["files"], "nodes": nodes, "diff": diff}
    if not answer["complete"]:
        problems = ["{node}: {problem}".format(**node) for node in nodes if node["problem"]]
        done = len(nodes) - len(problems)
        message = "{} of {} nodes are up to date. {}".format(done, len(nodes), ". ".join(problems))
        module.fail_json(msg=message, **result)
    return result


def main() -> None:
    options = {"phones": {"type": "list", "elements": "str"}}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
