# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules for rollouts do alike."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import AnsibleModule


def path_of(params: dict[str, t.Any]) -> str:
    """Return the path of a rollout in the administration API."""
    return "/rollouts/" + quote(params["name"], safe="")


def request_of(module: AnsibleModule) -> dict[str, t.Any]:
    """Return what every request of a run says of itself, and of the rollout that it saw."""
    params = module.params
    return {"runner": params["runner"], "rollout_id": params["rollout_id"], "dry_run": module.check_mode}


def query_of(params: dict[str, t.Any], **more: str) -> str:
    """Return the query that names one rollout by its id, where it is given."""
    given = dict(more, **({} if params["rollout_id"] is None else {"rollout_id": params["rollout_id"]}))
    return "?" + urlencode(given) if given else ""
