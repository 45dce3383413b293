#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Plan an LSC rollout, begin it, take it up again, or abort it
version_added: 0.1.0
description:
  - Registers the phones of a list, finds those that need an LSC, divides them into waves and puts the rollout on the
    server's record. In check mode it shows exactly that plan and changes nothing.
  - A rollout of the same name that was interrupted is taken up, with the settings and the phones that it was begun
    with; a warning names what has come too late for it. In check mode it shows what is left of it, also while another
    run leads it.
  - Two rollouts never have the same phone at once. The second one is refused, and so is a second run of the same one,
    after it has waited for O(wait_timeout) in vain.
  - A run that waits takes up the rollout that it waits for, or nothing. Where that is aborted or stopped meanwhile, the
    task fails with who aborted it and when; where it is done, nothing is begun.
  - Waves are started and judged by M(ucm.capf.rollout_wave). The role P(ucm.capf.lsc_rollout#role) does all of it.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.rollout
  - ucm.capf.phone_fields.criteria
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: A rollout that runs is taken up, and one that would have nothing to do is not begun.
options:
  state:
    description:
      - V(begun) begins a rollout or takes it up.
      - V(aborted) ends the running rollout of the name, or the one with O(rollout_id), and cancels its operations,
        whatever they were tried with before; phones that are in a session end it.
      - V(released) says that O(runner) does not go on, so that the next run can take the rollout up at once and need
        not wait for two minutes without a sign of life. Nothing changes unless that run leads it.
    type: str
    choices: [begun, aborted, released]
    default: begun
  csv_file:
    description:
      - CSV file with one phone a row, on the host that runs the module. Its phones are registered or changed first.
      - The column C(security_mode_after) is the Device Security Mode that a phone gets once it has its LSC.
      - Exactly one of O(csv_file), O(phones) and O(criteria) is needed for O(state=begun).
    type: path
  phones:
    description: Device names of phones that are registered with the server.
    type: list
    elements: str
  criteria:
    description: Search criteria, which must all match; an empty list takes all phones.
    default: null
  wave_size:
    description:
      - How many phones a wave has at most, as a number such as V(50), as a share of the phones such as V(5%), or
        V(auto), which is the smallest size with which all waves fit into the window.
      - A wave never takes more than half of a site's phones.
    type: str
    default: "50"
  wave_seconds:
    description:
      - Seconds that a wave may take. Phones that are not done by then count as failed.
      - V(0) for five minutes more than the service parameter C(Maximum Allowable Time For Key Generation).
    type: int
    default: 0
  string_seconds:
    description: Seconds that a wave may take in which people have to enter authentication strings; 0 for no difference.
    type: int
    default: 0
  pilot_size:
    description: How many phones, or which share of them, go first as a pilot wave; V(0) for no pilot.
    type: str
    default: "0"
  failure_limit:
    description: How many phones of a wave, or which share of it, may fail before the rollout stops.
    type: str
    default: 10%
  pilot_failure_limit:
    description: The same for the pilot wave.
    type: str
    default: 5%
  open_sessions:
    description: How many sessions may be open at once, those of earlier waves included.
    type: int
    default: 2500
  spread_by:
    description: The field that says which phones are of one site, so that no site loses all its phones at once.
    type: str
    choices: [device_pool, device_type, security_profile, none]
    default: device_pool
  more_tries:
    description: How many more tries a phone gets, in waves of their own, where another try may help.
    type: int
    default: 1
  renew_before:
    description: Days before its expiry from which an LSC is renewed.
    type: int
    default: 0
  force:
    description: Whether phones with a right LSC get a new one too.
    type: bool
    default: false
  window_start:
    description: When the maintenance window opens, as in V(2030-01-31T22:00), in the first node's time; empty for now.
    type: str
    default: ''
  window_end:
    description:
      - When it closes; it is Operation Completes By of every phone, and no wave is started that cannot end before it.
      - Empty for no end.
    type: str
    default: ''
  before_window:
    description: Whether a run that comes before the window opens waits for it or is refused.
    type: str
    choices: [wait, refuse]
    default: wait
  wait_timeout:
    description:
      - Seconds to wait while another run leads the rollout; V(0) refuses at once.
      - A run that was interrupted can be taken up two minutes after its last sign of life.
    type: int
    default: 0
  rollout_id:
    description:
      - For O(state=begun), take up the rollout with this id or none at all.
      - For O(state=aborted), abort the rollout with this id and no other one of the name.
      - For O(state=released), it is needed.
seealso:
  - module: ucm.capf.rollout_wave
  - module: ucm.capf.rollout_wait
  - module: ucm.capf.rollout_info
"""

EXAMPLES = r"""
- name: Begin a rollout to the phones of a file
  ucm.capf.rollout:
    administrator: admin
    password: "{{ capf_password }}"
    name: night
    runner: run-1
    wait_timeout: 130
    csv_file: phones.csv
    pilot_size: "1"
    wave_size: 5%
    failure_limit: 10%
    window_end: "2035-01-31T06:00"
  register: begun

- name: Abort it
  ucm.capf.rollout:
    administrator: admin
    password: "{{ capf_password }}"
    name: night
    runner: run-1
    state: aborted

- name: Let another run take it up at once
  ucm.capf.rollout:
    administrator: admin
    password: "{{ capf_password }}"
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
    state: released
"""

RETURN = r"""
begun:
  description: Whether a rollout was begun, or would be.
  returned: O(state=begun)
  type: bool
resumed:
  description: Whether a rollout that runs was taken up.
  returned: O(state=begun)
  type: bool
registered:
  description: How many phones were created, updated and left unchanged by O(csv_file).
  returned: O(state=begun)
  type: dict
plan:
  description:
    - The waves with their kind and device names, the phones that are skipped by reason, when it starts and when it ends
      at the latest, second tries not counted.
    - Where a rollout was taken up it is what is left of it, and all other phones are skipped with their status.
  returned: O(state=begun)
  type: dict
rollout:
  description:
    - The rollout in numbers, with its id, as M(ucm.capf.rollout_info) shows it. None where no phone needs an LSC.
    - For O(state=aborted), the rollout that was aborted.
  returned: O(state=begun) or O(state=aborted)
  type: dict
cancelled:
  description: Device names whose operation was cancelled, or would be.
  returned: O(state=aborted)
  type: list
  elements: str
in_session:
  description: Device names of the phones that are in a session, which they may end; they get no further try.
  returned: O(state=aborted)
  type: list
  elements: str
message:
  description: What was aborted, by whom and when, and what became of its operations, as a sentence.
  returned: O(state=aborted)
  type: str
  sample: "the rollout 'night' was aborted by admin at 2030-01-31T23:10:00+01:00: 2 operations cancelled"
code:
  description:
    - The server's word for the reason. V(led_by_another) while another run leads the rollout, V(rollout_aborted) and
      V(rollout_stopped) where the one that was waited for has ended so.
  returned: failure
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import (
    connection_options,
    criteria_options,
    rollout_options,
)
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client
from ansible_collections.ucm.capf.plugins.module_utils._csv import read
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, request_of

_SETTINGS: dict[str, t.Any] = {
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
    "more_tries": {"type": "int", "default": 1},
    "force": {"type": "bool", "default": False},
    "window_start": {"type": "str", "default": ""},
    "window_end": {"type": "str", "default": ""},
    "before_window": {"type": "str", "choices": ["wait", "refuse"], "default": "wait"},
}


def _body(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    body = {name: params[name] for name in _SETTINGS}
    body.update(
        runner=params["runner"],
        rollout_id=params["rollout_id"],
        renew_before_days=params["renew_before"],
        dry_run=module.check_mode,
    )
    return body


def _begin(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    params, body = module.params, _body(module)
    if params["csv_file"] is None:
        body.update(names=params["phones"], criteria=params["criteria"])
        return client.send("PUT", path_of(params), body)
    rows = read(params["csv_file"])
    body["phones"] = rows.phones
    try:
        return client.send("PUT", path_of(params), body)
    except CapfError as error:
        raise rows.located(error) from None


def _numbers(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what a diff shows of a plan."""
    if not answer["begun"]:
        return {}
    waves = answer["plan"]["waves"]
    return {"phones": sum(len(wave["phones"]) for wave in waves), "waves": len(waves)}


def _end(module: AnsibleModule, client: Client, action: str) -> dict[str, t.Any]:
    return client.send("POST", f"{path_of(module.params)}/{action}", request_of(module))


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    if module.params["state"] == "released":
        answer = _end(module, client, "release")
        return dict(answer, diff=values_diff({"led": answer["changed"]}, {"led": False}))
    if module.params["state"] == "aborted":
        answer = _end(module, client, "abort")
        return dict(answer, diff=values_diff({"pending": len(answer["cancelled"])}, {"pending": 0}))
    answer = _begin(module, client)
    for warning in answer["plan"]["warnings"]:
        module.warn(warning)
    return dict(answer, diff=values_diff({}, _numbers(answer)))


def main() -> None:
    options = dict(
        rollout_options(),
        state={"type": "str", "choices": ["begun", "aborted", "released"], "default": "begun"},
        csv_file={"type": "path"},
        phones={"type": "list", "elements": "str"},
        criteria=dict(criteria_options()["criteria"], default=None),
        renew_before={"type": "int", "default": 0},
        wait_timeout={"type": "int", "default": 0},
        **_SETTINGS,
    )
    rules: dict[str, t.Any] = {
        "mutually_exclusive": [("csv_file", "phones", "criteria")],
        "required_if": [
            ("state", "begun", ("csv_file", "phones", "criteria"), True),
            ("state", "released", ("rollout_id",)),
        ],
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
