#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: phone_operations_wait
short_description: Wait until certificate operations of phones have ended
version_added: 0.1.0
description:
  - Waits until the operations of all given phones have ended or O(wait_timeout) seconds have passed, and shows the
    progress while it waits.
  - An operation whose phone was refused is still in flight, because anybody can claim to be the phone. The module
    keeps waiting for it and lists it in RV(refused_phones).
  - Operations that failed or are still in flight when the time is up do not fail the task. The result shows the
    outcome of each operation, so that the play can decide.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
    details: In check mode the play has scheduled nothing, so the module checks once and does not wait.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  wait_timeout:
    description: Maximum time to wait in seconds.
    type: int
    default: 1800
  progress_interval:
    description: Seconds between two lines of progress.
    type: int
    default: 5
seealso:
  - module: ucm.capf.phone_operations
  - module: ucm.capf.rollout_wait
"""

EXAMPLES = r"""
- name: Wait for the wave
  ucm.capf.phone_operations_wait:
    phones:
      - SEP001122334455
      - SEP001122334466
    wait_timeout: 1
  register: wave

- name: Show what failed
  ansible.builtin.debug:
    var: wave.by_status
"""

RETURN = r"""
ended:
  description: Whether all operations have ended.
  returned: success
  type: bool
counts:
  description:
    - Numbers of phones in total, done, failed (which includes cancelled operations), in flight, skipped because they
      never had an operation, and with an LSC.
  returned: success
  type: dict
  sample: {phones: 200, waiting: 0, in_flight: 5, done: 190, failed: 4, unreached: 0, skipped: 1, lsc_installed: 190}
by_status:
  description: Number of phones by Operation Status.
  returned: success
  type: dict
  sample: {Upgrade Success: 190}
failed_phones:
  description: The phones whose operation failed or was cancelled, with the Operation Status and, if known, the
    problem.
  returned: success
  type: list
  elements: dict
  sample: [{device_name: SEP001122334455, status: "Upgrade Failed: Invalid LSC", problem: ""}]
in_flight_phones:
  description: Device names of the phones whose operation has not ended.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334466]
refused_phones:
  description:
    - The phones in flight that were refused, each with its Operation Status, the number of refusals, and the reason,
      time and address of the last one.
    - A refused phone may still succeed, so the module keeps waiting for it.
  returned: success
  type: list
  elements: dict
  sample:
    - device_name: SEP001122334455
      status: "Upgrade Failed: Invalid MIC"
      refusals: 2
      last_refusal: "Upgrade Failed: Invalid MIC: the MIC expired on 2024-05-01"
      refused_at: "2030-01-31T06:00:00+01:00"
      refused_from: 192.0.2.17
waited_seconds:
  description: Total time waited in seconds.
  returned: success
  type: int
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
from ansible_collections.ucm.capf.plugins.module_utils._result import run, warned


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    """Wait for one interval; the action plugin of the same name repeats it until the time is up."""
    seconds = 0 if module.check_mode else min(module.params["progress_interval"], module.params["wait_timeout"])
    rows = selected(module)
    wanted = {"phones": rows.names, "timeout": seconds}
    answer = warned(module, rows.send(client, "POST", "/operations/wait", wanted, seconds))
    phones = {f"{state}_phones": answer.pop(state) for state in ("failed", "in_flight", "refused")}
    return dict(answer, changed=False, **phones)


def main() -> None:
    options = dict(
        selection_options(),
        wait_timeout={"type": "int", "default": 1800},
        progress_interval={"type": "int", "default": 5},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **ONE_SELECTION), work)


if __name__ == "__main__":
    main()
