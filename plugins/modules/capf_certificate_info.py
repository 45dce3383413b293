#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capf_certificate_info
short_description: Show the CAPF certificates
version_added: 0.1.0
description:
  - Shows the current CAPF certificate, the next one if it is prepared, and the earlier ones whose LSCs are still
    trusted, each with its expiry and the number of active LSCs that it has issued.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
seealso:
  - module: ucm.capf.capf_certificate
"""

EXAMPLES = r"""
- name: Show the CAPF certificates
  ucm.capf.capf_certificate_info:
"""

RETURN = r"""
current:
  description: The certificate that issues LSCs.
  returned: success
  type: dict
  sample:
    common_name: CAPF-1a2b3c4d
    not_after: "2046-01-31T06:00:00+00:00"
    active_lscs: 180
next:
  description: The certificate that will issue LSCs once it is activated; null if none is prepared.
  returned: success
  type: dict
  sample: null
trusted:
  description: The earlier certificates whose LSCs are still trusted.
  returned: success
  type: list
  elements: dict
  sample: [{common_name: CAPF-0a0b0c0d, not_after: "2036-01-31T06:00:00+00:00", active_lscs: 20}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    return dict(client.get("/capf-certificate"), changed=False)


def main() -> None:
    run(AnsibleModule(connection_options(), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
