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
        description: Device name, such as V(SEP001122334455).
        type: str
        required: true
      description:
        description: Description.
        type: str
      device_pool:
        description: Device pool.
        type: str
      device_type:
        description: Device type, such as V(Cisco 8845).
        type: str
      security_profile:
        description: Name of the phone's security profile.
        type: str
      device_security_mode:
        description:
          - Device Security Mode.
          - A phone without an LSC cannot be made secure while an operation V(By Authentication String) is pending,
            because it could not register to receive its string.
          - The default for new phones is V(Non Secure).
        type: str
        choices:
          - Non Secure
          - Authenticated
          - Encrypted
      mic:
        description: Whether the phone has a manufacturing installed certificate (MIC).
        type: bool
      authentication_mode:
        description:
          - Default Authentication Mode of the phone's operations.
          - The default for new phones is V(By Null String).
        type: str
        choices:
          - By Authentication String
          - By Null String
          - By Existing Certificate (precedence to LSC)
          - By Existing Certificate (precedence to MIC)
      key_order:
        description:
          - Default Key Order of the phone's operations.
          - The default for new phones is V(RSA Only).
        type: str
        choices:
          - RSA Only
          - EC Only
          - EC Preferred, RSA Backup
      key_size:
        description: RSA key size in bits. The default is the service parameter Key Size.
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
          - The default for new phones is V(384).
        type: int
        choices:
          - 256
          - 384
          - 521
"""

    OPERATION = r"""
options:
  authentication_mode:
    description: Authentication Mode for phones without one in the CSV file. The default is the phone's own
      setting.
    type: str
    choices:
      - By Authentication String
      - By Null String
      - By Existing Certificate (precedence to LSC)
      - By Existing Certificate (precedence to MIC)
  key_order:
    description: Key Order for phones without one in the CSV file. The default is the phone's own setting.
    type: str
    choices:
      - RSA Only
      - EC Only
      - EC Preferred, RSA Backup
  key_size:
    description: RSA key size in bits for phones without one in the CSV file. The default is the phone's own
      setting.
    type: int
    choices:
      - 512
      - 1024
      - 2048
      - 3072
      - 4096
  ec_key_size:
    description: EC key size in bits for phones without one in the CSV file. The default is the phone's own
      setting.
    type: int
    choices:
      - 256
      - 384
      - 521
  operation:
    description:
      - The Certificate Operation.
      - V(No Pending Operation) cancels pending operations, except for phones that are in a session.
      - V(Delete) and V(Troubleshoot) are refused for phones without a certificate.
    type: str
    choices:
      - No Pending Operation
      - Install/Upgrade
      - Delete
      - Troubleshoot
    default: Install/Upgrade
"""

    CRITERIA = r"""
options:
  criteria:
    description: Search criteria. A phone has to match all of them.
    type: list
    elements: dict
    suboptions:
      field:
        description: The field to compare.
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
          - How to compare the field with O(criteria[].value).
          - Dates can be compared with V(is before), V(is after), V(is exactly), V(is empty) and V(is not empty).
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
        description: The value to compare with. Write a date as V(2030-01-31).
        type: str
        default: ""
"""

    ORDER = r"""
options:
  sort:
    description:
      - The field to sort by.
      - Phones cannot be sorted by authentication string, because strings are stored encrypted.
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
    description: Return only these fields of each phone, which keeps long lists small. By default, all fields
      are returned.
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
