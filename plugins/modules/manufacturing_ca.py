#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: manufacturing_ca
short_description: Manage the CAs whose manufacturing installed certificates are trusted
version_added: 0.1.0
description:
  - Manages the list of CAs whose manufacturing installed certificates (MICs) authenticate phones, in a single request.
  - A change takes effect immediately, for phones that connect afterwards.
  - Certificates that are not CA certificates are refused. The module warns about a certificate that is signed with
    SHA-1 or has expired.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.certificates
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  state:
    description:
      - V(present) adds the certificates to the list; V(absent) removes them.
      - V(exact) makes the list consist of these certificates only.
    type: str
    choices: [present, absent, exact]
    default: present
seealso:
  - module: ucm.capf.manufacturing_ca_info
"""

EXAMPLES = r"""
- name: Trust the manufacturer's CAs and no others
  ucm.capf.manufacturing_ca:
    files: [manufacturing-ca.pem]
    state: exact
"""

RETURN = r"""
before:
  description: The trusted CAs before the change, subjects by SHA-256 fingerprint.
  returned: success
  type: dict
  sample: {}
after:
  description: The trusted CAs after the change.
  returned: success
  type: dict
  sample: {4f1c…: 'CN=Manufacturing CA,O=Example'}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._certificates import certificate_options, send_certificates
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff, warned


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {"state": module.params["state"], "dry_run": module.check_mode}
    answer = warned(module, send_certificates(client, "/manufacturing-cas", module.params, wanted))
    return dict(answer, diff=values_diff(answer["before"], answer["after"]))


def main() -> None:
    options = dict(
        certificate_options(), state={"type": "str", "choices": ["present", "absent", "exact"], "default": "present"}
    )
    rules = [("certificates", "files")]
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, required_one_of=rules), work)


if __name__ == "__main__":
    main()
