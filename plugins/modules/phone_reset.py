#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phone_reset
short_description: Reset phones, so that their settings take effect
version_added: 0.1.0
description:
  - Makes the server reset phones with its configured reset command, which may be the call processor's or the lab's.
  - The server first publishes the phones' files to the subscribers that serve files. If one of them cannot be reached,
    the task names it and resets no phone.
  - The task fails if a phone could not be reset, and still reports how many were reset.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
options:
  rollout:
    description: Name of the rollout that the phones belong to. Once it has been aborted or stopped, or another run
      leads it, no further phone is reset, and the task fails. Needs O(rollout_id) and O(runner).
    type: str
  rollout_id:
    description: Id of the rollout, as returned by M(ucm.capf.rollout).
    type: int
  runner:
    description: Name of the run that leads the rollout.
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: A reset changes no setting.
  idempotent:
    support: none
    details: Every run resets the phones.
seealso:
  - module: ucm.capf.phone_operations
"""

EXAMPLES = r"""
- name: Reset two phones
  ucm.capf.phone_reset:
    phones:
      - SEP001122334455
      - SEP001122334466
"""

RETURN = r"""
counts:
  description: Numbers of phones that were reset and that could not be reset.
  returned: success or failure
  type: dict
  sample: {reset: 2, failed: 0}
failed_phones:
  description: The first 100 phones that could not be reset, each with the reason.
  returned: success or failure
  type: list
  elements: dict
  sample: [{device_name: SEP001122334455, problem: the command ended with status 1}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    ONE_SELECTION,
    connection_options,
    selection_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import selected
from ansible_collections.ucm.capf.plugins.module_utils._result import capped, run, warned

_LONGEST_SECONDS = 3600
_RUN = ("rollout", "rollout_id", "runner")


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    rows = selected(module)
    name, rollout_id, runner = (module.params[option] for option in _RUN)
    leading = name and {"name": name, "rollout_id": rollout_id, "runner": runner}
    wanted = {"phones": rows.names, "rollout": leading, "dry_run": module.check_mode}
    answer = warned(module, rows.send(client, "POST", "/phones/reset", wanted, extra_seconds=_LONGEST_SECONDS))
    failed = answer.pop("failed")
    result = dict(answer, failed_phones=capped(failed))
    if failed:
        first = "{device_name}: {problem}".format(**failed[0])
        module.fail_json(msg=f"phones that could not be reset: {len(failed)}; {first}", **result)
    return result


def main() -> None:
    options = dict(
        connection_options(),
        **selection_options(),
        rollout={"type": "str"},
        rollout_id={"type": "int"},
        runner={"type": "str"},
    )
    run(AnsibleModule(options, supports_check_mode=True, required_together=[_RUN], **ONE_SELECTION), work)


if __name__ == "__main__":
    main()
