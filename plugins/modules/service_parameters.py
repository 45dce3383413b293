#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_parameters
short_description: Set CAPF service parameters
version_added: 0.1.0
description:
  - Sets service parameters by the names shown on the administration pages. They apply to the first node.
  - A change takes effect after a restart of the CAPF service, for which you can use M(ucm.capf.capf_service).
  - M(ucm.capf.capf_service_info) shows every parameter with its help, default and range.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  parameters:
    description: The values to set, by parameter name. Other parameters are left alone.
    type: dict
    required: true
seealso:
  - module: ucm.capf.capf_service
  - module: ucm.capf.capf_service_info
"""

EXAMPLES = r"""
- name: Set parameters
  ucm.capf.service_parameters:
    parameters:
      Key Size: 3072
      Duration Of Certificate Validity: 3
  register: parameters

- name: Apply them
  ucm.capf.capf_service:
    state: restarted
    only_if_required: true
  when: parameters.restart_required
"""

RETURN = r"""
before:
  description: The parameters that change, with their values before.
  returned: success
  type: dict
  sample: {Key Size: 2048}
after:
  description: The parameters that change, with their values after.
  returned: success
  type: dict
  sample: {Key Size: 3072}
restart_required:
  description: Whether the CAPF service has to be restarted before the parameters take effect.
  returned: success
  type: bool
"""

from ansible_collections.ucm.capf.plugins.module_utils._parameters import set_parameters


def main() -> None:
    set_parameters("service")


if __name__ == "__main__":
    main()
