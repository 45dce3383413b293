#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capf_service_info
short_description: Show the state of the CAPF service
version_added: 0.1.0
description:
  - Shows whether CAPF is activated and running, or why not, whether a restart is due, which files and database rows of
    the server are unusable, the CAPF certificate, and all service and enterprise parameters with their help, default
    and range.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
seealso:
  - module: ucm.capf.capf_service
"""

EXAMPLES = r"""
- name: Set the connection once for all modules of the collection
  module_defaults:
    group/ucm.capf.capf:
      host: 127.0.0.1
      administrator: admin
      password: "{{ capf_password }}"
      ca_path: certificates/administration.crt
  block:
    - name: Get the state of CAPF
      ucm.capf.capf_service_info:
      register: capf

    - name: Fail if CAPF is not running
      ansible.builtin.assert:
        that: capf.service.running
"""

RETURN = r"""
service:
  description: The state of the service.
  returned: success
  type: dict
  contains:
    version:
      description: The server's version.
      type: str
    first_node:
      description: Whether this is the first node, which is the only one where CAPF can be activated.
      type: bool
    activated:
      description: Whether CAPF is activated.
      type: bool
    running:
      description: Whether CAPF accepts connections from phones.
      type: bool
    problem:
      description: Why an activated CAPF is not running; empty otherwise. The server retries automatically.
      type: str
    restart_required:
      description: Whether an activated CAPF is not running with the current parameters.
        M(ucm.capf.capf_service) restarts or starts it with O(ucm.capf.capf_service#module:only_if_required=true).
      type: bool
    capf_phone_port:
      description: The TCP port that phones use.
      type: int
    sessions_open:
      description: Number of phones that are connected.
      type: int
    capf_certificate:
      description: The CAPF certificate with its names, serial number, dates, fingerprint, PEM and file names; null if
        its file is unusable.
      type: dict
    ctl_file:
      description: Whether the CTL file is V(missing), V(outdated) or V(current), and the reasons.
      type: dict
    faults:
      description: The files and database rows that the server cannot use.
      type: list
      elements: dict
      contains:
        where:
          description: The file, or the table and row.
          type: str
        problem:
          description: What is wrong with it.
          type: str
        todo:
          description: What to do about it.
          type: str
        stops_capf:
          description: Whether it prevents CAPF from running.
          type: bool
service_parameters:
  description: The service parameters, which are only active while CAPF is activated.
  returned: success
  type: dict
  sample: {Key Size: {value: 2048, default: 2048}}
enterprise_parameters:
  description: The enterprise parameters.
  returned: success
  type: dict
  sample: {Enable IPv6: {value: false, default: false}}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    return {
        "changed": False,
        "service": client.get("/service"),
        "service_parameters": client.get("/service-parameters"),
        "enterprise_parameters": client.get("/enterprise-parameters"),
    }


def main() -> None:
    run(AnsibleModule(connection_options(), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
