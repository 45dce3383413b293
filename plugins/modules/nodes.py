#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nodes
short_description: Manage the list of the cluster's nodes
version_added: 0.1.0
description:
  - Adds, changes or removes nodes in the list that the first node keeps. A request is applied completely or not at
    all.
  - Every node that runs call processing or TFTP has a record in the CTL file, which becomes outdated when they change;
    M(ucm.capf.ctl_file) makes a new one. M(ucm.capf.files_publish) sends the phones' files to the subscribers.
  - The first node adds itself to the list when it first starts; you can change its roles and certificate here.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  nodes:
    description: The nodes. A setting that is omitted is left alone, or takes its default for a new node.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Host name or IP address that phones use to reach the node.
        type: str
        required: true
      call_processing:
        description: Whether the node runs call processing. The default for new nodes is V(true).
        type: bool
      tftp:
        description: Whether the node serves files to phones. The default for new nodes is V(true).
        type: bool
      administration_address:
        description: Host name or IP address of a subscriber's administration API. The default for new nodes is their
          O(nodes[].name).
        type: str
      administration_port:
        description: TCP port of a subscriber's administration API. The default for new nodes is V(8443).
        type: int
      administration_certificate:
        description:
          - PEM certificate used to verify a subscriber's administration API. It is the file C(administration.crt) that
            the role C(capf_server) fetches. New nodes require it.
        type: str
      certificate:
        description:
          - PEM certificate that the CTL file lists for the node. By default, it lists the certificate of the
            administration API.
        type: str
  state:
    description:
      - V(present) adds and changes the nodes.
      - V(absent) removes them; the first node cannot be removed.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: ucm.capf.nodes_info
  - module: ucm.capf.ctl_file
  - module: ucm.capf.files_publish
"""

EXAMPLES = r"""
- name: Add a TFTP node
  ucm.capf.nodes:
    nodes:
      - name: tftp1.example.com
        call_processing: false
        administration_certificate: "{{ lookup('ansible.builtin.file', 'node2.pem') }}"

- name: Remove it
  ucm.capf.nodes:
    nodes:
      - name: tftp1.example.com
    state: absent
"""

RETURN = r"""
counts:
  description: Numbers of nodes that were created, updated, removed and left unchanged.
  returned: success
  type: dict
  sample: {created: 1, updated: 0, removed: 0, unchanged: 0}
results:
  description: The nodes that change, before and after, with their certificates as fingerprints.
  returned: success
  type: list
  elements: dict
  sample: [{name: tftp1.example.com, before: null, after: {call_processing: false, tftp: true}}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import diff_of, run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    nodes = [{name: value for name, value in node.items() if value is not None} for node in module.params["nodes"]]
    wanted = {"nodes": nodes, "state": module.params["state"], "dry_run": module.check_mode}
    answer = client.send("PUT", "/nodes", wanted)
    return dict(answer, diff=diff_of(answer["results"], key="name"))


def main() -> None:
    node = {
        "name": {"type": "str", "required": True},
        "call_processing": {"type": "bool"},
        "tftp": {"type": "bool"},
        "administration_address": {"type": "str"},
        "administration_port": {"type": "int"},
        "administration_certificate": {"type": "str"},
        "certificate": {"type": "str"},
    }
    options = {
        "nodes": {"type": "list", "elements": "dict", "options": node, "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
