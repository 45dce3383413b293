# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of a phone: the one table from which search, the report, defaults, the API's shapes and the collection's
options are made (R26, R29, R30).

To add a setting of a phone, add its column to ``store.schema`` with a migration, add a row here, and run
``scripts/generate``. A field that is computed has its SQL in ``store.search_rows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from capf.lists.tables import Column
from capf.model import EC_KEY_SIZES, RSA_KEY_SIZES, AuthenticationMode, KeyOrder, Operation, SecurityMode


class FieldKind(Enum):
    """What the values of a field are, and how they are searched."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    MOMENT = "moment"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a phone.

    ``title``: its header in the report; ``help``: its description in the collection's documentation, a sentence each;
    ``setting``: the administrator sets it for the phone, and ``default`` is its value for a new phone;
    ``of_operation``: a certificate operation may have a different value; ``site``: it may be a phone's site in a
    rollout; ``searchable``: phones are found by it (texts, moments and what is hidden), and sorted unless it is hidden;
    ``reported``: it is a column of the report;
    ``free_text``: people or phones write it, so that a spreadsheet may take it for a formula or a number;
    ``also``: its other headers in exports of other systems.
    """

    name: str
    title: str
    kind: FieldKind = FieldKind.TEXT
    help: Sequence[str] = ()
    choices: Sequence[str | int] = ()
    default: str | int | bool | None = ""
    setting: bool = False
    of_operation: bool = False
    site: bool = False
    searchable: bool = False
    reported: bool = False
    free_text: bool = False
    also: Sequence[str] = ()


NAME, OPERATION, STATUS, EXPIRES = "device_name", "certificate_operation", "operation_status", "lsc_expires"
STATE = "operation_state"
"""The names of fields that rules read."""
FIELDS: list[Field] = [
    Field(
        NAME,
        "Device Name",
        help=("Device name, such as V(SEP001122334455).",),
        searchable=True,
        reported=True,
        also=("MAC Address", "MAC Address/Device Name"),
    ),
    Field(
        "description",
        "Description",
        help=("Description.",),
        setting=True,
        searchable=True,
        reported=True,
        free_text=True,
    ),
    Field(
        "device_pool",
        "Device Pool",
        help=("Device pool.",),
        setting=True,
        site=True,
        searchable=True,
        reported=True,
        free_text=True,
    ),
    Field(
        "device_type",
        "Device Type",
        help=("Device type, such as V(Cisco 8845).",),
        setting=True,
        site=True,
        searchable=True,
        reported=True,
        free_text=True,
        also=("Phone Type", "Phone Model", "Product Type", "Model"),
    ),
    Field(
        "security_profile",
        "Security Profile",
        help=("Name of the phone's security profile.",),
        setting=True,
        site=True,
        searchable=True,
        reported=True,
        free_text=True,
        also=("Device Security Profile", "Phone Security Profile"),
    ),
    Field(
        "device_security_mode",
        "Device Security Mode",
        help=(
            "Device Security Mode.",
            "A phone without an LSC cannot be made secure while an operation V(By Authentication String) is pending,"
            " because it could not register to receive its string.",
        ),
        choices=tuple(mode.value for mode in SecurityMode),
        default=SecurityMode.NON_SECURE.value,
        setting=True,
        searchable=True,
        reported=True,
    ),
    Field(
        "mic",
        "MIC",
        FieldKind.FLAG,
        help=("Whether the phone has a manufacturing installed certificate (MIC).",),
        default=False,
        setting=True,
    ),
    Field(
        OPERATION,
        "Certificate Operation",
        help=(
            "The Certificate Operation.",
            "V(No Pending Operation) cancels pending operations, except for phones that are in a session.",
            "V(Delete) and V(Troubleshoot) are refused for phones without a certificate.",
        ),
        choices=tuple(operation.value for operation in Operation),
        default=Operation.NONE.value,
        searchable=True,
        reported=True,
    ),
    Field(
        "authentication_mode",
        "Authentication Mode",
        help=("Default Authentication Mode of the phone's operations.",),
        choices=tuple(mode.value for mode in AuthenticationMode),
        default=AuthenticationMode.NULL_STRING.value,
        setting=True,
        of_operation=True,
        searchable=True,
        reported=True,
    ),
    Field(
        "key_order",
        "Key Order",
        help=("Default Key Order of the phone's operations.",),
        choices=tuple(order.value for order in KeyOrder),
        default=KeyOrder.RSA.value,
        setting=True,
        of_operation=True,
        searchable=True,
    ),
    Field(
        "key_size",
        "RSA key size in bits",
        FieldKind.NUMBER,
        help=("RSA key size in bits. The default is the service parameter Key Size.",),
        choices=RSA_KEY_SIZES,
        default=None,
        setting=True,
        of_operation=True,
        also=("RSA Key Size (Bits)", "RSA Key Size", "Key Size (Bits)", "Key Size"),
    ),
    Field(
        "ec_key_size",
        "EC key size in bits",
        FieldKind.NUMBER,
        help=("EC key size in bits.",),
        choices=EC_KEY_SIZES,
        default=384,
        setting=True,
        of_operation=True,
        also=("EC Key Size (Bits)", "EC Key Size"),
    ),
    Field(
        "authentication_string",
        "Authentication String",
        FieldKind.HIDDEN,
        searchable=True,
        reported=True,
        free_text=True,
    ),
    Field("operation_completes_by", "Operation Completes By", FieldKind.MOMENT, searchable=True, reported=True),
    Field(STATUS, "Operation Status", reported=True),
    Field("last_problem", "Last Problem", searchable=True, reported=True, free_text=True),
    Field("refusals", "Refusals", FieldKind.NUMBER, reported=True),
    Field("last_refusal", "Last Refusal", searchable=True, reported=True, free_text=True),
    Field("refused_at", "Last Refusal At", FieldKind.MOMENT, searchable=True, reported=True),
    Field("refused_from", "Last Refusal From", searchable=True, reported=True, free_text=True),
    Field("lsc_status", "LSC Status", searchable=True, reported=True),
    Field("lsc", "LSC", searchable=True, reported=True),
    Field(EXPIRES, "LSC Expires", FieldKind.MOMENT, searchable=True, reported=True),
    Field("lsc_issued_by", "LSC Issued By", searchable=True, reported=True, free_text=True),
    Field("lsc_issuer_expires_by", "LSC Issuer Expires By", FieldKind.MOMENT, searchable=True, reported=True),
    Field("locked_addresses", "Locked Addresses", FieldKind.NUMBER, reported=True),
    Field("locked_until", "Locked Until", FieldKind.MOMENT, reported=True),
]
TEXT_PATTERNS = ("begins with", "contains", "ends with", "is exactly", "is empty", "is not empty")
DATE_PATTERNS = ("is before", "is exactly", "is after", "is empty", "is not empty")


def settings() -> list[Field]:
    """Return the settings of a phone that the administrator sets."""
    return [field for field in FIELDS if field.setting]


def defaults() -> dict[str, Any]:
    """Return the settings of a new phone, by name."""
    return {field.name: field.default for field in settings()}


def columns() -> dict[str, str]:
    """Return the columns of the report in order: the name of the field by its title."""
    return {field.title: field.name for field in FIELDS if field.reported}


_KINDS = {FieldKind.NUMBER: "int", FieldKind.FLAG: "bool"}
MODE_AFTER = "security_mode_after"
"""The column of a list with the Device Security Mode that a phone gets after it has its LSC."""


def _column(field: Field) -> Column:
    choices = tuple(map(str, field.choices)) if field.kind is FieldKind.TEXT else ()
    return Column(field.name, (field.title, *field.also), _KINDS.get(field.kind, "str"), choices)


def list_columns() -> list[Column]:
    """Return the columns of a list of phones."""
    of_phone = [_column(field) for field in FIELDS if field.setting or field.name in (NAME, "authentication_string")]
    return [*of_phone, Column(MODE_AFTER, ("Security Mode After",), choices=[mode.value for mode in SecurityMode])]


def import_columns() -> list[Column]:
    """Return the columns of a list with the data of an earlier CAPF."""
    of_phone = [column for column in list_columns() if column.name != MODE_AFTER]
    return [
        *of_phone,
        Column("operation", ("Certificate Operation",), choices=[operation.value for operation in Operation]),
        Column("completes_by", ("Operation Completes By", "Operation Completes By (YYYY:MM:DD:HH:MM)")),
        Column("operation_status", ("Operation Status", "Certificate Operation Status")),
        Column("certificate"),
        Column("serial_number"),
    ]


def sites() -> list[str]:
    """Return the names of the fields that may group phones into sites."""
    return [field.name for field in FIELDS if field.site]


def searchable(*kinds: FieldKind) -> list[str]:
    """Return the names of the fields of these kinds by which phones are found."""
    return [field.name for field in FIELDS if field.searchable and field.kind in kinds]


def names(found: Iterable[Field]) -> tuple[str, ...]:
    """Return the names of fields."""
    return tuple(field.name for field in found)


def choices() -> Mapping[str, Sequence[str | int]]:
    """Return the values that each setting may have, for the settings that have a list of them."""
    return {field.name: field.choices for field in settings() if field.choices}
