# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code shared by the modules for service and enterprise parameters."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._argspec import connection_options
from ._client import Client
from ._result import run, values_diff


def set_parameters(kind: str) -> None:
    """Run the module that sets the parameters of C(service) or C(enterprise)."""

    def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
        wanted = {"parameters": module.params["parameters"], "dry_run": module.check_mode}
        answer = client.send("PUT", f"/{kind}-parameters", wanted)
        return dict(answer, diff=values_diff(answer["before"], answer["after"]))

    options = dict(connection_options(), parameters={"type": "dict", "required": True})
    run(AnsibleModule(options, supports_check_mode=True), work)
