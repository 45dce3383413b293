# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that modules share; each function mirrors one documentation fragment."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ._phone_fields import FIELDS, OPERATION_SETTINGS, PATTERNS, PHONE_SETTINGS


def connection_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(connection); each of them has an environment variable."""
    options: dict[str, dict[str, t.Any]] = {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 8443},
        "administrator": {"type": "str", "default": "admin"},
        "password": {"type": "str", "required": True, "no_log": True},
        "ca_path": {"type": "path"},
        "validate_certs": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 60},
    }
    return {name: dict(spec, fallback=(env_fallback, [f"CAPF_{name.upper()}"])) for name, spec in options.items()}


def selection_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(selection)."""
    return {"phones": {"type": "list", "elements": "str"}, "csv_file": {"type": "path"}}


def key_options() -> dict[str, t.Any]:
    """Return the options for a phone's authentication and its key."""
    return {name: PHONE_SETTINGS[name] for name in OPERATION_SETTINGS}


def criteria_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(phone_fields.criteria)."""
    criterion = {
        "field": {"type": "str", "required": True, "choices": FIELDS},
        "pattern": {"type": "str", "default": "is exactly", "choices": PATTERNS},
        "value": {"type": "str", "default": ""},
    }
    return {"criteria": {"type": "list", "elements": "dict", "options": criterion}}


def rollout_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(rollout)."""
    return {
        "name": {"type": "str", "required": True},
        "runner": {"type": "str", "required": True},
        "rollout_id": {"type": "int"},
    }


def run_options() -> dict[str, t.Any]:
    """Return the options of the fragments C(rollout) and C(rollout.run), which require the rollout's id."""
    return dict(rollout_options(), rollout_id={"type": "int", "required": True})


def confirm_option() -> dict[str, t.Any]:
    """Return the option of the fragment C(confirm)."""
    return {"confirm": {"type": "int"}}


ONE_SELECTION: dict[str, t.Any] = {
    "mutually_exclusive": [("phones", "csv_file")],
    "required_one_of": [("phones", "csv_file")],
}
