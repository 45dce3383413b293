# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  phones:
    description: Device names of the phones, in any number; they travel in one request.
    type: list
    elements: str
  csv_file:
    description:
      - CSV file with one phone a row and the device names in the column C(device_name), on the host that runs
        the module.
      - Exactly one of O(phones) and O(csv_file) is needed.
    type: path
"""

    CRITERIA = r"""
options:
  criteria:
    description: Search criteria, which must all match; none finds all phones.
    type: list
    elements: dict
    default: []
    suboptions:
      field:
        description: The field that is compared.
        type: str
        required: true
        choices:
          - device_name
          - description
          - device_pool
          - device_type
          - security_profile
          - device_security_mode
          - authentication_mode
          - key_order
          - certificate_operation
          - operation_completes_by
          - lsc_status
          - last_problem
          - last_refusal
          - refused_from
          - refused_at
          - lsc
          - authentication_string
          - lsc_expires
          - lsc_issued_by
          - lsc_issuer_expires_by
      pattern:
        description:
          - How it is compared.
          - V(is before) and V(is after) are for dates, as are V(is exactly), V(is empty) and V(is not empty).
        type: str
        default: is exactly
        choices:
          - begins with
          - contains
          - ends with
          - is exactly
          - is empty
          - is not empty
          - is before
          - is after
      value:
        description: What it is compared with; a date is written as V(2030-01-31).
        type: str
        default: ''
"""
