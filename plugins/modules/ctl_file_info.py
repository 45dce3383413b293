#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ctl_file_info
short_description: Show the CTL file and whether it is outdated
version_added: 0.1.0
description:
  - Shows the state of the cluster's CTL file, every reason why it is outdated, its records, and how it is signed.
  - On a subscriber it shows the CTL file that the first node published to it.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
seealso:
  - module: ucm.capf.ctl_file
"""

EXAMPLES = r"""
- name: Get the CTL file
  ucm.capf.ctl_file_info:
  register: capf_ctl

- name: Show why it is outdated
  ansible.builtin.debug:
    var: capf_ctl.ctl_file.reasons
"""

RETURN = r"""
ctl_file:
  description: The CTL file.
  returned: success
  type: dict
  contains:
    state:
      description: V(missing), V(outdated) or V(current); V(received) on a subscriber.
      type: str
    reasons:
      description: Why it is missing or outdated.
      type: list
      elements: str
    made_at:
      description: Time at which it was made.
      type: str
    digest:
      description: Digest of its signature.
      type: str
    signer_version:
      description: Version of its signer.
      type: str
    signer:
      description: Subject of the security token that signed it.
      type: str
    sha256:
      description: Digest of the file.
      type: str
    records:
      description: Role, node, subject, serial number, end and fingerprint of each certificate that it lists.
      type: list
      elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    return {"changed": False, "ctl_file": client.get("/ctl-file")}


def main() -> None:
    run(AnsibleModule(connection_options(), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
