# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from the server's registry/phone_fields.py: change that.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  phones:
    type: list
    elements: dict
    suboptions:
      device_name:
        description:
          - Device name, such as V(SEP001122334455).
        type: str
        required: true
      description:
        description:
          - Description.
        type: str
      device_pool:
        description:
          - Device pool.
        type: str
      device_type:
        description:
          - Device type, such as V(Cisco 8845).
        type: str
      security_profile:
        description:
          - Name of the phone's security profile.
        type: str
      device_security_mode:
        description:
          - Device Security Mode.
          - While an operation V(By Authentication String) is pending, a phone without LSC is not made secure, because
            it could never register to take its string.
          - New phones have V(Non Secure).
        type: str
        choices:
          - Non Secure
          - Authenticated
          - Encrypted
      mic:
        description:
          - Whether the phone is known to have a manufacturing installed certificate.
        type: bool
      authentication_mode:
        description:
          - Authentication Mode of operations that do not say.
          - New phones have V(By Null String).
        type: str
        choices:
          - By Authentication String
          - By Null String
          - By Existing Certificate (precedence to LSC)
          - By Existing Certificate (precedence to MIC)
      key_order:
        description:
          - Key Order of operations that do not say.
          - New phones have V(RSA Only).
        type: str
        choices:
          - RSA Only
          - EC Only
          - EC Preferred, RSA Backup
      key_size:
        description:
          - RSA key size in bits. Phones without one take the service parameter Key Size.
        type: int
        choices:
          - 512
          - 1024
          - 2048
          - 3072
          - 4096
      ec_key_size:
        description:
          - EC key size in bits.
          - New phones have V(384).
        type: int
        choices:
          - 256
          - 384
          - 521
"""

    OPERATION = r"""
options:
  authentication_mode:
    description:
      - Authentication Mode, where the CSV file does not say. Without it the phone's own is taken.
    type: str
    choices:
      - By Authentication String
      - By Null String
      - By Existing Certificate (precedence to LSC)
      - By Existing Certificate (precedence to MIC)
  key_order:
    description:
      - Key Order, where the CSV file does not say. Without it the phone's own is taken.
    type: str
    choices:
      - RSA Only
      - EC Only
      - EC Preferred, RSA Backup
  key_size:
    description:
      - RSA key size in bits, where the CSV file does not say. Without it the phone's own is taken.
    type: int
    choices:
      - 512
      - 1024
      - 2048
      - 3072
      - 4096
  ec_key_size:
    description:
      - EC key size in bits, where the CSV file does not say. Without it the phone's own is taken.
    type: int
    choices:
      - 256
      - 384
      - 521
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
          - certificate_operation
          - authentication_mode
          - key_order
          - authentication_string
          - operation_completes_by
          - last_problem
          - last_refusal
          - refused_at
          - refused_from
          - lsc_status
          - lsc
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

    ORDER = r"""
options:
  sort:
    description:
      - The field by which the phones are sorted.
      - Authentication strings are only kept encrypted, so that phones cannot be sorted by them.
    type: str
    default: device_name
    choices:
      - device_name
      - description
      - device_pool
      - device_type
      - security_profile
      - device_security_mode
      - certificate_operation
      - authentication_mode
      - key_order
      - operation_completes_by
      - last_problem
      - last_refusal
      - refused_at
      - refused_from
      - lsc_status
      - lsc
      - lsc_expires
      - lsc_issued_by
      - lsc_issuer_expires_by
  fields:
    description: Only these fields of each phone are returned, which keeps long lists small; without it, all are.
    type: list
    elements: str
    choices:
      - device_name
      - description
      - device_pool
      - device_type
      - security_profile
      - device_security_mode
      - certificate_operation
      - authentication_mode
      - key_order
      - operation_completes_by
      - last_problem
      - last_refusal
      - refused_at
      - refused_from
      - lsc_status
      - lsc
      - lsc_expires
      - lsc_issued_by
      - lsc_issuer_expires_by
"""
