#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_wave
short_description: Start the next wave of an LSC rollout, or judge a wave
version_added: 0.1.0
description:
  - Starts the next wave of a rollout, which schedules Install/Upgrade for its phones, or resumes an interrupted wave.
  - Judges a wave, which stops the rollout if too many of its phones failed, and changes the Device Security Mode of
    phones with C(security_mode_after) that have their LSC.
  - A wave is not started if CAPF is not activated or not running, its certificate has expired, or phones would get an
    outdated CTL file. The task reports the reason and what to do about it; once that is fixed, the rollout can
    continue.
  - The server decides whether the window is open, whether another wave fits into it, and which phones are next.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.rollout
  - ucm.capf.rollout.run
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: A wave that was already started is returned again; a wave cannot be judged twice.
options:
  state:
    description: What to do with a wave.
    type: str
    choices: [started, judged]
    default: started
  number:
    description: Number of the wave, for O(state=judged).
    type: int
  not_registered:
    description: Phones of the wave that are no longer registered with call processing. They count as failed.
    type: list
    elements: str
  csv_file:
    description: CSV file with the phones' strings in the column C(authentication_string); the server generates the
      others.
    type: path
seealso:
  - module: ucm.capf.rollout
  - module: ucm.capf.rollout_wait
"""

EXAMPLES = r"""
- name: Start the next wave
  ucm.capf.rollout_wave:
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
  register: next

- name: Judge it
  ucm.capf.rollout_wave:
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
    state: judged
    number: "{{ next.wave.number }}"
"""

RETURN = r"""
wave:
  description:
    - The wave that was started or resumed, with its number, kind, phones, the phones to reset, the phones that wait
      for an authentication string and their sites, and the time left.
    - Null if the rollout has ended or it is too early.
  returned: O(state=started)
  type: dict
  sample: {number: 1, kind: pilot, phones: [SEP001122334455], reset: [SEP001122334455], by_string: []}
ended:
  description: Whether the rollout has ended.
  returned: O(state=started)
  type: bool
wait_seconds:
  description: Seconds after which to try again if it is too early for the next wave.
  returned: O(state=started)
  type: int
why:
  description: Why no wave was started.
  returned: O(state=started)
  type: str
counts:
  description: Number of phones in the wave, and in each part of the rollout; the parts add up to C(phones).
  returned: O(state=judged)
  type: dict
  sample: {phones: 2, waiting: 0, in_flight: 0, done: 1, failed: 1, unreached: 0, skipped: 0}
judged:
  description: Number of phones on which the wave was judged, which excludes skipped phones.
  returned: O(state=judged)
  type: int
allowed:
  description: Number of phones that were allowed to fail; null for a retry wave, which is not judged.
  returned: O(state=judged)
  type: int
judgement:
  description: The verdict, in the words of the reports.
  returned: O(state=judged)
  type: str
  sample: "passed: 1 of 40 phones not done, 4 allowed"
problem:
  description: Why the rollout was stopped; empty if it was not.
  returned: O(state=judged)
  type: str
stopped:
  description: Whether the rollout was stopped because too many phones failed.
  returned: O(state=judged)
  type: bool
failing:
  description: The phones that are not done, with their part of the rollout, Operation Status, problem, and what to do.
  returned: O(state=judged)
  type: list
  elements: dict
  sample: [{device_name: SEP001122334466, part: failed, status: "Upgrade Failed: Invalid MIC", problem: ""}]
lines:
  description: The phones that are not done by cause, for people, with the first names and what to do.
  returned: O(state=judged)
  type: list
  elements: str
  sample: ["1 failed: Upgrade Failed: Invalid MIC: SEP001122334466. To do: trust the issuer of the phone's MIC"]
switched:
  description: Device names of the phones whose Device Security Mode changed; the change takes effect when they are
    reset.
  returned: O(state=judged)
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, run_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import SECRET_COLUMN, read
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff, warned
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, request_of


def _start(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    body = request_of(module)
    if module.params["csv_file"] is not None:
        rows = read(module.params["csv_file"]).phones
        given = {row["device_name"]: row[SECRET_COLUMN] for row in rows if SECRET_COLUMN in row}
        body["authentication_strings"] = given
    answer = client.send("POST", path_of(module.params) + "/waves", body)
    wave = answer["wave"]
    changed = answer["ended"] or (wave is not None and not wave["resumed"])
    after = {"wave": wave["number"], "phones": len(wave["phones"])} if wave else {"ended": answer["ended"]}
    return dict(answer, changed=changed, diff=values_diff({}, after if changed else {}))


def _judge(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    body = dict(request_of(module), not_registered=module.params["not_registered"])
    path = "{}/waves/{}/judge".format(path_of(module.params), module.params["number"])
    answer = warned(module, client.send("POST", path, body))
    return dict(answer, changed=True, diff=values_diff({}, dict(answer["counts"], stopped=answer["stopped"])))


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    return _start(module, client) if module.params["state"] == "started" else _judge(module, client)


def main() -> None:
    options = dict(
        run_options(),
        state={"type": "str", "choices": ["started", "judged"], "default": "started"},
        number={"type": "int"},
        not_registered={"type": "list", "elements": "str"},
        csv_file={"type": "path"},
    )
    rules: dict[str, t.Any] = {"required_if": [("state", "judged", ("number",))]}
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
