# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description:
      - Host name or IP address of the first node's CAPF server, not a URL.
      - Set the connection options once for all modules with C(module_defaults) and the group V(ucm.capf.capf).
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
    description: The administrator's password. If it is not set, the environment variable E(CAPF_PASSWORD) is used.
    type: str
    required: true
  ca_path:
    description:
      - PEM file with the certificate used to verify the administration API.
      - If the server generated its own certificate, use the file C(administration.crt) that the role C(capf_server)
        fetches to the control node. On the node itself it is C(/etc/capf/capf-administration.crt).
    type: path
  validate_certs:
    description: Verify the administration API's certificate.
    type: bool
    default: true
  timeout:
    description: Maximum time for one request in seconds, from V(1) to V(86400).
    type: int
    default: 60
notes:
  - The server validates the request and decides what changes; the module sends the request and returns the answer.
  - In check mode the module sends the same request as a dry run, which the server rolls back.
"""
