#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: manufacturing_ca_info
short_description: Show the CAs whose manufacturing installed certificates are trusted
version_added: 0.1.0
description:
  - Shows the CAs whose manufacturing installed certificates (MICs) authenticate phones, with subject, expiry and
    digest. The module warns about CAs that are signed with SHA-1 or have expired.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
seealso:
  - module: ucm.capf.manufacturing_ca
"""

EXAMPLES = r"""
- name: Show the trusted manufacturing CAs
  ucm.capf.manufacturing_ca_info:
"""

RETURN = r"""
trusted:
  description: The trusted CAs.
  returned: success
  type: list
  elements: dict
  sample:
    - subject: CN=Manufacturing CA,O=Example
      not_after: "2046-01-31T06:00:00+00:00"
      signature_hash: sha256
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, warned


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    answer = warned(module, client.get("/manufacturing-cas"))
    return dict(answer, changed=False)


def main() -> None:
    run(AnsibleModule(connection_options(), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
