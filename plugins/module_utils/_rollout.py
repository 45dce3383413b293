# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code shared by the modules for rollouts."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import AnsibleModule


def path_of(params: dict[str, t.Any]) -> str:
    """Return the path of a rollout in the administration API."""
    return "/rollouts/" + quote(params["name"], safe="")


def request_of(module: AnsibleModule) -> dict[str, t.Any]:
    """Return the fields of every request of a run: the runner, the rollout's id, and whether it is a dry run."""
    params = module.params
    return {"runner": params["runner"], "rollout_id": params["rollout_id"], "dry_run": module.check_mode}


def query_of(params: dict[str, t.Any], **more: str) -> str:
    """Return the query string that selects a rollout by its id, if the id is given."""
    given = dict(more, **({} if params["rollout_id"] is None else {"rollout_id": params["rollout_id"]}))
    return "?" + urlencode(given) if given else ""
