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
OPERATIONS = ["No Pending Operation", "Install/Upgrade", "Delete", "Troubleshoot"]
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
LIST_COLUMNS: list[tuple[str, t.Sequence[str], str, t.Sequence[str]]] = [
    ("device_name", ("Device Name", "MAC Address", "MAC Address/Device Name"), "str", ()),
    ("description", ("Description",), "str", ()),
    ("device_pool", ("Device Pool",), "str", ()),
    ("device_type", ("Device Type", "Phone Type", "Phone Model", "Product Type", "Model"), "str", ()),
    ("security_profile", ("Security Profile", "Device Security Profile", "Phone Security Profile"), "str", ()),
    ("device_security_mode", ("Device Security Mode",), "str", ("Non Secure", "Authenticated", "Encrypted")),
    ("mic", ("MIC",), "bool", ()),
    (
        "authentication_mode",
        ("Authentication Mode",),
        "str",
        (
            "By Authentication String",
            "By Null String",
            "By Existing Certificate (precedence to LSC)",
            "By Existing Certificate (precedence to MIC)",
        ),
    ),
    ("key_order", ("Key Order",), "str", ("RSA Only", "EC Only", "EC Preferred, RSA Backup")),
    (
        "key_size",
        ("RSA key size in bits", "RSA Key Size (Bits)", "RSA Key Size", "Key Size (Bits)", "Key Size"),
        "int",
        (),
    ),
    ("ec_key_size", ("EC key size in bits", "EC Key Size (Bits)", "EC Key Size"), "int", ()),
    ("authentication_string", ("Authentication String",), "str", ()),
    ("security_mode_after", ("Security Mode After",), "str", ["Non Secure", "Authenticated", "Encrypted"]),
]
IMPORT_COLUMNS: list[tuple[str, t.Sequence[str], str, t.Sequence[str]]] = [
    ("device_name", ("Device Name", "MAC Address", "MAC Address/Device Name"), "str", ()),
    ("description", ("Description",), "str", ()),
    ("device_pool", ("Device Pool",), "str", ()),
    ("device_type", ("Device Type", "Phone Type", "Phone Model", "Product Type", "Model"), "str", ()),
    ("security_profile", ("Security Profile", "Device Security Profile", "Phone Security Profile"), "str", ()),
    ("device_security_mode", ("Device Security Mode",), "str", ("Non Secure", "Authenticated", "Encrypted")),
    ("mic", ("MIC",), "bool", ()),
    (
        "authentication_mode",
        ("Authentication Mode",),
        "str",
        (
            "By Authentication String",
            "By Null String",
            "By Existing Certificate (precedence to LSC)",
            "By Existing Certificate (precedence to MIC)",
        ),
    ),
    ("key_order", ("Key Order",), "str", ("RSA Only", "EC Only", "EC Preferred, RSA Backup")),
    (
        "key_size",
        ("RSA key size in bits", "RSA Key Size (Bits)", "RSA Key Size", "Key Size (Bits)", "Key Size"),
        "int",
        (),
    ),
    ("ec_key_size", ("EC key size in bits", "EC Key Size (Bits)", "EC Key Size"), "int", ()),
    ("authentication_string", ("Authentication String",), "str", ()),
    (
        "operation",
        ("Certificate Operation",),
        "str",
        ["No Pending Operation", "Install/Upgrade", "Delete", "Troubleshoot"],
    ),
    ("completes_by", ("Operation Completes By", "Operation Completes By (YYYY:MM:DD:HH:MM)"), "str", ()),
    ("operation_status", ("Operation Status", "Certificate Operation Status"), "str", ()),
    ("certificate", (), "str", ()),
    ("serial_number", (), "str", ()),
]
REPORT_TITLES = [
    "Device Name",
    "Description",
    "Device Pool",
    "Device Type",
    "Security Profile",
    "Device Security Mode",
    "Certificate Operation",
    "Authentication Mode",
    "Authentication String",
    "Operation Completes By",
    "Operation Status",
    "Last Problem",
    "Refusals",
    "Last Refusal",
    "Last Refusal At",
    "Last Refusal From",
    "LSC Status",
    "LSC",
    "LSC Expires",
    "LSC Issued By",
    "LSC Issuer Expires By",
    "Locked Addresses",
    "Locked Until",
    "Site",
    "Wave",
    "Tries",
    "Part",
    "Problem",
    "Seconds",
    "What To Do",
    "To Visit",
]
