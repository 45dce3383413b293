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
      - If it is not set, the environment variable E(CAPF_HOST) is used.
      - Set the connection options once for all modules with C(module_defaults) and the group V(ucm.capf.capf).
    type: str
    default: 127.0.0.1
  port:
    description:
      - TCP port of the administration API, from V(1) to V(65535).
      - If it is not set, the environment variable E(CAPF_PORT) is used.
    type: int
    default: 8443
  administrator:
    description:
      - The administrator's name, the same on all nodes of the cluster.
      - If it is not set, the environment variable E(CAPF_ADMINISTRATOR) is used.
    type: str
    default: admin
  password:
    description: The administrator's password. If it is not set, the environment variable E(CAPF_PASSWORD) is used.
    type: str
    required: true
  ca_path:
    description:
      - PEM file with the certificate used to verify the administration API.
      - If the server generated its own certificate, use the file C(administration.crt) that the role C(capf_server)
        fetches to the control node. On the node itself it is C(/etc/capf/capf-administration.crt).
      - Leave it out if the system trusts the certificate.
      - If it is not set, the environment variable E(CAPF_CA_PATH) is used.
    type: path
  validate_certs:
    description:
      - Verify the administration API's certificate.
      - If it is not set, the environment variable E(CAPF_VALIDATE_CERTS) is used.
    type: bool
    default: true
  timeout:
    description:
      - Maximum time for one request in seconds, from V(1) to V(86400).
      - If it is not set, the environment variable E(CAPF_TIMEOUT) is used.
    type: int
    default: 60
notes:
  - The examples leave out the connection, which is set once for all modules, by C(module_defaults) as in the example of
    M(ucm.capf.capf_service_info), or by the environment variables.
  - The server validates the request and decides what changes; the module sends the request and returns the answer.
  - In check mode the module sends the same request as a dry run, which the server rolls back.
"""
