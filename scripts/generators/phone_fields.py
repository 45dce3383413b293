# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of a phone as the collection has them: lists, options and documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capf.model import Operation
from capf.registry import phone_fields, report
from capf.registry.phone_fields import FIELDS, Field, FieldKind
from capf.registry.rollout import rollout_report

from . import texts

TABLE = "the server's registry/phone_fields.py"
OPTIONS = "plugins/module_utils/_phone_fields.py"
DOCUMENTATION = "plugins/doc_fragments/phone_fields.py"
TYPES: Mapping[FieldKind, str] = {FieldKind.TEXT: "str", FieldKind.NUMBER: "int", FieldKind.FLAG: "bool"}
_COLUMNS = "list[tuple[str, t.Sequence[str], str, t.Sequence[str]]]"
PATTERNS = tuple(dict.fromkeys((*phone_fields.TEXT_PATTERNS, *phone_fields.DATE_PATTERNS)))


def made() -> dict[str, str]:
    """Return the files, by their paths."""
    return {OPTIONS: _options(), DOCUMENTATION: _documentation()}


def _options() -> str:
    """Return the module of lists and options."""
    settings = phone_fields.settings()
    lists = {
        "PHONE_SETTINGS: dict[str, dict[str, t.Any]]": {field.name: _spec(field) for field in settings},
        "OPERATIONS": list(_field(phone_fields.OPERATION).choices),
        "OPERATION_SETTINGS": [field.name for field in settings if field.of_operation],
        "FIELDS": phone_fields.searchable(*FieldKind),
        "SORTABLE_FIELDS": phone_fields.searchable(FieldKind.TEXT, FieldKind.MOMENT),
        "PATTERNS": list(PATTERNS),
        f"LIST_COLUMNS: {_COLUMNS}": [tuple(column) for column in phone_fields.list_columns()],
        f"IMPORT_COLUMNS: {_COLUMNS}": [tuple(column) for column in phone_fields.import_columns()],
        "REPORT_TITLES": list(dict.fromkeys((*report.COLUMNS, *rollout_report.COLUMNS))),
    }
    docstring = "The fields of a phone, the options that set them, and how phones are searched by them."
    return texts.module(OPTIONS, TABLE, docstring, lists)


def _field(name: str) -> Field:
    return next(field for field in FIELDS if field.name == name)


def _spec(field: Field) -> dict[str, Any]:
    """Return a setting as an option of a module."""
    spec: dict[str, Any] = {"type": TYPES[field.kind]}
    if field.choices:
        spec["choices"] = list(field.choices)
    if "key" in field.name:  # Ansible takes it for a secret
        spec["no_log"] = False
    return spec


def _documentation() -> str:
    """Return the documentation fragments."""
    name = _field(phone_fields.NAME)
    settings = phone_fields.settings()
    suboptions = {name.name: {"description": texts.described(name.help), "type": "str", "required": True}}
    suboptions |= {field.name: _documented(field, _described(field)) for field in settings}
    of_operation = {
        field.name: _documented(field, [_OF_OPERATION.format(field.title)]) for field in settings if field.of_operation
    }
    operation = _field(phone_fields.OPERATION)
    of_operation["operation"] = _documented(operation, list(operation.help)) | {"default": Operation.INSTALL.value}
    return texts.fragments(
        TABLE,
        {
            "DOCUMENTATION": {"phones": {"type": "list", "elements": "dict", "suboptions": suboptions}},
            "OPERATION": of_operation,
            "CRITERIA": _criteria(),
            "ORDER": _order(),
        },
    )


_OF_OPERATION = "{} for phones without one in the CSV file. The default is the phone's own setting."


def _described(field: Field) -> list[str]:
    """Return the description of a setting, with its default for a new phone."""
    default = field.default if field.kind is not FieldKind.FLAG else None
    return [*field.help, *([f"The default for new phones is V({default})."] if default else [])]


def _documented(field: Field, description: list[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": texts.described(description), "type": TYPES[field.kind]}
    return shown | ({"choices": list(field.choices)} if field.choices else {})


def _criteria() -> dict[str, Any]:
    return {
        "criteria": {
            "description": "Search criteria. A phone has to match all of them.",
            "type": "list",
            "elements": "dict",
            "suboptions": {
                "field": {
                    "description": "The field to compare.",
                    "type": "str",
                    "required": True,
                    "choices": phone_fields.searchable(*FieldKind),
                },
                "pattern": {
                    "description": [
                        "How to compare the field with O(criteria[].value).",
                        "Dates can be compared with V(is before), V(is after), V(is exactly), V(is empty) and"
                        " V(is not empty).",
                    ],
                    "type": "str",
                    "default": "is exactly",
                    "choices": list(PATTERNS),
                },
                "value": {
                    "description": "The value to compare with. Write a date as V(2030-01-31).",
                    "type": "str",
                    "default": "",
                },
            },
        }
    }


def _order() -> dict[str, Any]:
    return {
        "sort": {
            "description": [
                "The field to sort by.",
                "Phones cannot be sorted by authentication string, because strings are stored encrypted.",
            ],
            "type": "str",
            "default": phone_fields.NAME,
            "choices": phone_fields.searchable(FieldKind.TEXT, FieldKind.MOMENT),
        },
        "fields": {
            "description": "Return only these fields of each phone, which keeps long lists small. By default, all"
            " fields are returned.",
            "type": "list",
            "elements": "str",
            "choices": phone_fields.searchable(FieldKind.TEXT, FieldKind.MOMENT),
        },
    }
