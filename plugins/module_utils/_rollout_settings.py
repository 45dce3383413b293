# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from the server's registry/rollout/settings.py: change that.

"""The options of a module that begins a rollout."""

from __future__ import annotations

import typing as t

ROLLOUT_SETTINGS: dict[str, dict[str, t.Any]] = {
    "wave_size": {"type": "str", "default": "50"},
    "wave_seconds": {"type": "int", "default": 0},
    "string_seconds": {"type": "int", "default": 0},
    "pilot_size": {"type": "str", "default": "0"},
    "failure_limit": {"type": "str", "default": "10%"},
    "pilot_failure_limit": {"type": "str", "default": "5%"},
    "open_sessions": {"type": "int", "default": 2500},
    "spread_by": {
        "type": "str",
        "choices": ["device_pool", "device_type", "security_profile", "none"],
        "default": "device_pool",
    },
    "retries": {"type": "int", "default": 1},
    "renew_before": {"type": "int", "default": 0},
    "force": {"type": "bool", "default": False},
    "window_start": {"type": "str", "default": ""},
    "window_end": {"type": "str", "default": ""},
}
