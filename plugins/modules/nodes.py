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
  - Adds, changes or removes nodes in the list that the first node keeps. It is all or nothing.
  - Every node that runs call processing or TFTP has a record in the CTL file, which is outdated when they change;
    M(ucm.capf.ctl_file) makes it again. The further nodes are handed the phones' files by M(ucm.capf.files_publish).
  - The first node is in the list from its first start; its roles and certificate can be changed here.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  nodes:
    description: The nodes. A setting that is not given is left alone, or takes its default for a new node.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name or address by which phones reach the node.
        type: str
        required: true
      call_processing:
        description: Whether the node runs call processing. New nodes do.
        type: bool
      tftp:
        description: Whether the node hands files to phones. New nodes do.
        type: bool
      administration_address:
        description: Name or address of the administration API of a further node. New nodes have their name.
        type: str
      administration_port:
        description: TCP port of the administration API of a further node. New nodes have 8443.
        type: int
      administration_certificate:
        description:
          - Certificate by which the administration API of a further node is trusted, in PEM. It is the file
            C(administration.crt) that the role C(capf_server) fetches. New nodes need it.
        type: str
      certificate:
        description:
          - Certificate that the CTL file lists for the node, in PEM. Where none is given, it lists the certificate of
            the administration API.
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
    administrator: admin
    password: "{{ capf_password }}"
    nodes:
      - name: tftp1.example.com
        call_processing: false
        administration_certificate: "{{ lookup('ansible.builtin.file', 'node2.pem') }}"

- name: Remove it
  ucm.capf.nodes:
    administrator: admin
    password: "{{ capf_password }}"
    nodes:
      - name: tftp1.example.com
    state: absent
"""

RETURN = r"""
counts:
  description: How many nodes were created, updated, removed and left unchanged.
  returned: success
  type: dict
  sample: {created: 1, updated: 0, removed: 0, unchanged: 0}
results:
  description: The nodes that change, before and after, their certificates as fingerprints.
  returned: success
  type: list
  elements: dict
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
