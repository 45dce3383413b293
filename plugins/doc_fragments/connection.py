# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description:
      - Name or address of the first node's CAPF server, no URL.
      - Can be set once for all modules by C(module_defaults) with the group V(ucm.capf.capf).
    type: str
    default: 127.0.0.1
  port:
    description: TCP port of the administration API, from V(1) to V(65535).
    type: int
    default: 8443
  administrator:
    description: The administrator's name, the same on all nodes of the cluster.
    type: str
    required: true
  password:
    description: The administrator's password. It may come from the environment variable E(CAPF_PASSWORD).
    type: str
    required: true
  ca_path:
    description:
      - PEM file with the certificate that the administration API's certificate is checked against.
      - Where the server made its own, it is the file C(administration.crt) that the role C(capf_server) fetches to the
        control node. On the node itself it is C(/etc/capf/capf-administration.crt).
    type: path
  validate_certs:
    description: Whether the administration API's certificate is checked.
    type: bool
    default: true
  timeout:
    description: Seconds that one request may take, from V(1) to V(86400).
    type: int
    default: 60
notes:
  - The server decides what is right and what changes; the module sends the whole request and shows the answer.
  - In check mode the same request is made as a dry run, which the server rolls back.
"""
