#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_wait
short_description: Wait for a wave of an LSC rollout and show its progress
version_added: 0.1.0
description:
  - Waits until all operations of a wave have ended or the wave's time is up.
  - Shows how many phones are done, failed and in flight, how many finish per minute, how much time is left, and which
    phones still wait for their authentication string.
  - Fails if the rollout is aborted meanwhile, and reports who aborted it and when.
  - Keeps waiting if the server cannot be reached for a while, for example while the first node restarts.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.rollout
  - ucm.capf.rollout.run
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.reads
options:
  number:
    description: Number of the wave.
    type: int
    required: true
  progress_interval:
    description: Seconds between two lines of progress, from 1 to 60.
    type: int
    default: 5
  outage_seconds:
    description: Maximum time in seconds for which the server may be unreachable.
    type: int
    default: 600
  not_entered_file:
    description:
      - File on the control node that lists, during the wait, the phones whose authentication string was not entered
        yet.
      - The control node writes it, so a relative path is relative to the directory in which the command was typed.
    type: path
seealso:
  - module: ucm.capf.rollout_wave
"""

EXAMPLES = r"""
- name: Wait for the first wave
  ucm.capf.rollout_wait:
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
    number: 1
    progress_interval: 2
"""

RETURN = r"""
ended:
  description: Whether the wave has ended or its time is up.
  returned: success
  type: bool
counts:
  description: Number of phones in the wave, and in each part of the rollout; the parts add up to C(phones).
  returned: success
  type: dict
  sample: {phones: 40, waiting: 0, in_flight: 1, done: 38, failed: 1, unreached: 0, skipped: 0}
phones_a_minute:
  description: Number of phones that finished in the last minute.
  returned: success
  type: float
seconds_left:
  description: Seconds until the wave's time is up.
  returned: success
  type: int
done_phones:
  description: Device names of the phones that have their LSC.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334455]
in_flight_phones:
  description: Device names of the phones whose operation has not ended.
  returned: success
  type: list
  elements: str
  sample: []
failed_phones:
  description: Device names of the phones whose operation failed or was cancelled.
  returned: success
  type: list
  elements: str
  sample: [SEP001122334466]
waiting_for_string:
  description: Device names of the phones whose authentication string was not entered yet.
  returned: success
  type: list
  elements: str
  sample: []
waited_seconds:
  description: Total time waited in seconds.
  returned: success
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, run_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    """Wait for one interval; the action plugin of the same name repeats it until the wave has ended."""
    seconds = 0 if module.check_mode else module.params["progress_interval"]
    path = "{}/waves/{}/wait".format(path_of(module.params), module.params["number"])
    params = module.params
    wanted = {"runner": params["runner"], "rollout_id": params["rollout_id"], "timeout": seconds}
    answer = client.send("POST", path, wanted, extra_seconds=seconds)
    named = {part + "_phones": answer.pop(part) for part in ("done", "in_flight", "failed")}
    return dict(answer, changed=False, **named)


def main() -> None:
    options = dict(
        run_options(),
        number={"type": "int", "required": True},
        progress_interval={"type": "int", "default": 5},
        outage_seconds={"type": "int", "default": 600},
        not_entered_file={"type": "path"},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
