#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_info
short_description: Show the state and the numbers of an LSC rollout
version_added: 0.1.0
description:
  - Shows the latest rollout with a name, its state, waves, Operation Statuses, slowest phones and phones to visit.
  - Without O(name), it lists all rollouts.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  name:
    description: Name of the rollout.
    type: str
  rollout_id:
    description: The id of the rollout. The default is the latest rollout with the name O(name).
    type: int
seealso:
  - module: ucm.capf.rollout
"""

EXAMPLES = r"""
- name: Show a rollout
  ucm.capf.rollout_info:
    name: night

- name: List all rollouts
  ucm.capf.rollout_info:
"""

RETURN = r"""
rollout:
  description:
    - The rollout with its id, state, problem, the administrator who ended it, settings, counts, statuses, waves,
      refusals, slowest phones and phones to visit.
    - Its C(counts), and those of each wave, are the numbers of phones that are C(waiting), C(in_flight), C(done),
      C(failed), C(unreached) and C(skipped), which add up to C(phones). The C(verdict) of a wave is the verdict
      recorded when the wave was judged.
    - Its C(summary) includes the phones that were left out because they needed no LSC. It contains C(lines) for people,
      which are few however large the rollout is, the C(next_step), and C(succeeded), which is true only if every phone
      is done or skipped, except for as many as the limits allow. C(directory) is a name for the directory of the
      rollout's reports, with the time at which the rollout began.
  returned: O(name) is given
  type: dict
  sample: {id: 1, name: night, state: done, counts: {phones: 2, done: 1, failed: 1}, summary: {succeeded: true}}
rollouts:
  description: All rollouts with their state, the latest first.
  returned: O(name) is not given
  type: list
  elements: dict
  sample: [{id: 1, name: night, state: done}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, query_of


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    if module.params["name"] is None:
        return dict(client.get("/rollouts"), changed=False)
    return {"changed": False, "rollout": client.get(path_of(module.params) + query_of(module.params))}


def main() -> None:
    options: dict[str, t.Any] = {"name": {"type": "str"}, "rollout_id": {"type": "int"}}
    rules: dict[str, t.Any] = {"required_by": {"rollout_id": "name"}}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
