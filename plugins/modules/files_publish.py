#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files_publish
short_description: Publish the CTL file, the CAPF certificate and configuration files to all nodes
version_added: 0.1.0
description:
  - The first node sends each subscriber the files that it does not have yet. These are the CTL file, the CAPF
    certificate under both of its names, and the phones' configuration files.
  - If a subscriber has a different administrator name or password, the module names it before anything changes.
  - If a node cannot be reached, the task names it and fails, but still updates the other nodes. The next run does the
    rest.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  phones:
    description: Device names of the phones whose configuration files to publish. By default, the files of all phones
      are published.
    type: list
    elements: str
seealso:
  - module: ucm.capf.nodes
  - module: ucm.capf.ctl_file
"""

EXAMPLES = r"""
- name: Bring all nodes up to date
  ucm.capf.files_publish:

- name: Publish the configuration files of two phones
  ucm.capf.files_publish:
    phones: [SEP001122334455, SEP001122334466]
"""

RETURN = r"""
nodes:
  description:
    - For each subscriber, the number of files that it was sent, the first 100 of their names, the number of files that
      it already had, and its problem if there is one.
  returned: always
  type: list
  elements: dict
  sample: [{node: tftp1.example.com, sent: 2, sent_files: [CTLFile.tlv, CAPF.crt], unchanged: 180, problem: ""}]
files:
  description: Number of files that every node should have.
  returned: always
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, warned


def _lines(nodes: list[dict[str, t.Any]]) -> str:
    """Return one line for each file that is sent to a node."""
    lines = ["{}: {}\n".format(node["node"], name) for node in nodes for name in node["sent_files"]]
    more = ["{}: ... {} files in all\n".format(n["node"], n["sent"]) for n in nodes if n["sent"] > len(n["sent_files"])]
    return "".join(lines + more)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {"phones": module.params["phones"], "dry_run": module.check_mode}
    answer = warned(module, client.send("POST", "/nodes/publish", wanted))
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
