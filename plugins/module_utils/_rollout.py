# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules for rollouts do alike."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule


def path_of(params: dict[str, t.Any]) -> str:
    """Return the path of a rollout in the administration API."""
    return "/rollouts/" + quote(params["name"], safe="")


def request_of(module: AnsibleModule) -> dict[str, t.Any]:
    """Return what every request of a run says of itself."""
    return {"runner": module.params["runner"], "dry_run": module.check_mode}
