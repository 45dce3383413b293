# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Translates pydantic's validation errors to messages of this server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capf.api.shapes import TEXT_ALLOWED
from capf.model import Problem, not_allowed

_WHOLE_NUMBER, _FLAG, _FIELDS = "a whole number", "true or false", "an object with named fields"
_ALLOWED = {
    "base64_decode": "Base64-encoded bytes",
    "bool_parsing": _FLAG,
    "bool_type": _FLAG,
    "bytes_type": "Base64-encoded bytes",
    "dict_type": _FIELDS,
    "enum": "{expected}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": _FIELDS,
    "model_type": _FIELDS,
    "no_text": TEXT_ALLOWED,
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "string_unicode": TEXT_ALLOWED,
    "too_long": "at most {max_length} items",
    "too_short": "at least {min_length} item, not an empty list",
}
"""The choices and ranges by type of pydantic's error, with the limits from its context."""
_MESSAGES = {
    "extra_forbidden": "unknown field; correct or remove it",
    "json_invalid": "the body is not valid JSON; correct it",
    "missing": "this field is required",
}
_OTHERS = "invalid value; see the OpenAPI document for the allowed values"


def problem(field: str, value: str, kind: str, context: Mapping[str, Any]) -> Problem:
    """Return the problem of a field for a ``value`` and pydantic's kind of error."""
    if kind in _ALLOWED:
        return not_allowed(field, value, _ALLOWED[kind].format(**context))
    return Problem(field, value, _MESSAGES.get(kind, _OTHERS))
