# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from the server's registry/phone_fields.py: change that.

"""The fields of a phone, the options that set them, and how phones are searched by them."""

from __future__ import annotations

import typing as t

PHONE_SETTINGS: dict[str, dict[str, t.Any]] = {
    "description": {"type": "str"},
    "device_pool": {"type": "str"},
    "device_type": {"type": "str"},
    "security_profile": {"type": "str"},
    "device_security_mode": {"type": "str", "choices": ["Non Secure", "Authenticated", "Encrypted"]},
    "mic": {"type": "bool"},
    "authentication_mode": {
        "type": "str",
        "choices": [
            "By Authentication String",
            "By Null String",
            "By Existing Certificate (precedence to LSC)",
            "By Existing Certificate (precedence to MIC)",
        ],
    },
    "key_order": {"type": "str", "choices": ["RSA Only", "EC Only", "EC Preferred, RSA Backup"], "no_log": False},
    "key_size": {"type": "int", "choices": [512, 1024, 2048, 3072, 4096], "no_log": False},
    "ec_key_size": {"type": "int", "choices": [256, 384, 521], "no_log": False},
}
OPERATION_SETTINGS = ["authentication_mode", "key_order", "key_size", "ec_key_size"]
FIELDS = [
    "device_name",
    "description",
    "device_pool",
    "device_type",
    "security_profile",
    "device_security_mode",
    "certificate_operation",
    "authentication_mode",
    "key_order",
    "authentication_string",
    "operation_completes_by",
    "last_problem",
    "last_refusal",
    "refused_at",
    "refused_from",
    "lsc_status",
    "lsc",
    "lsc_expires",
    "lsc_issued_by",
    "lsc_issuer_expires_by",
]
SORTABLE_FIELDS = [
    "device_name",
    "description",
    "device_pool",
    "device_type",
    "security_profile",
    "device_security_mode",
    "certificate_operation",
    "authentication_mode",
    "key_order",
    "operation_completes_by",
    "last_problem",
    "last_refusal",
    "refused_at",
    "refused_from",
    "lsc_status",
    "lsc",
    "lsc_expires",
    "lsc_issued_by",
    "lsc_issuer_expires_by",
]
PATTERNS = ["begins with", "contains", "ends with", "is exactly", "is empty", "is not empty", "is before", "is after"]
REPORT_COLUMNS = {
    "Device Name": "device_name",
    "Description": "description",
    "Device Pool": "device_pool",
    "Device Type": "device_type",
    "Security Profile": "security_profile",
    "Device Security Mode": "device_security_mode",
    "Certificate Operation": "certificate_operation",
    "Authentication Mode": "authentication_mode",
    "Authentication String": "authentication_string",
    "Operation Completes By": "operation_completes_by",
    "Operation Status": "operation_status",
    "Last Problem": "last_problem",
    "Refusals": "refusals",
    "Last Refusal": "last_refusal",
    "Last Refusal At": "refused_at",
    "Last Refusal From": "refused_from",
    "LSC Status": "lsc_status",
    "LSC": "lsc",
    "LSC Expires": "lsc_expires",
    "LSC Issued By": "lsc_issued_by",
    "LSC Issuer Expires By": "lsc_issuer_expires_by",
    "Locked Addresses": "locked_addresses",
    "Locked Until": "locked_until",
}
