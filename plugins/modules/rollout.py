#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Plan, begin, pause, resume or abort an LSC rollout
version_added: 0.1.0
description:
  - Registers the phones of a list, finds those that need an LSC, divides them into waves and records the rollout on
    the server. In check mode it shows exactly that plan and changes nothing.
  - If a rollout with the same name was interrupted, it is resumed with its original settings and phones; the module
    warns about differences that no longer have an effect. In check mode it shows the rest of the rollout, even while
    another run leads it.
  - A phone is never part of two running rollouts; the second one is refused. A second run of the same rollout is
    refused after it has waited for O(wait_timeout).
  - A waiting run resumes the rollout that it waits for and no other. If that rollout is aborted or stopped meanwhile,
    the task fails and reports who aborted it and when; if it is done, the task begins nothing.
  - M(ucm.capf.rollout_wave) starts and judges waves. If O(strategy) is V(rolling), the server runs the rollout while
    M(ucm.capf.rollout_watch) watches it. The role P(ucm.capf.lsc_rollout#role) runs a complete rollout.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.rollout
  - ucm.capf.rollout_settings
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
    details: A running rollout is resumed, and a rollout with nothing to do is not begun.
options:
  state:
    description:
      - V(started) begins or resumes a rollout.
      - V(aborted) ends the running rollout with this name, or the one with O(rollout_id), and cancels its operations,
        including those that were refused before. Phones that are in a session finish it.
      - V(released) gives up the lead of O(runner), so that another run can resume the rollout immediately instead of
        waiting for two minutes without a heartbeat. Nothing changes unless that run leads the rollout.
      - V(paused) lets the server admit no further phone of a rolling rollout. Phones in flight end.
      - V(resumed) lets it go on after a pause, and judges the phones that end from then on. It admits phones only while
        a run watches the rollout, unless the rollout is O(unattended).
    type: str
    choices: [started, aborted, released, paused, resumed]
    default: started
  reason:
    description: Why the rollout is paused, shown to everybody who looks at it, for O(state=paused).
    type: str
    default: ""
  csv_file:
    description:
      - CSV file on the host that runs the module, with one phone per row. Its phones are registered or changed first.
      - The column C(security_mode_after) is the Device Security Mode that a phone gets after it has its LSC.
      - Exactly one of O(csv_file), O(phones) and O(criteria) is required for O(state=started).
    type: path
  phones:
    description: Device names of phones that are registered with the server, or that O(register_phones) registers.
    type: list
    elements: str
  register_phones:
    description: Also register the phones of O(phones) that the server does not know.
    type: bool
    default: false
  before_window:
    description: Wait for the window to open, or refuse to begin before it opens.
    type: str
    choices: [wait, refuse]
    default: wait
  wait_timeout:
    description:
      - Maximum time in seconds to wait while another run leads the rollout; V(0) refuses immediately.
      - An interrupted rollout can be resumed two minutes after the last heartbeat of its run.
    type: int
    default: 0
  rollout_id:
    description:
      - For O(state=started), resume the rollout with this id, and do not begin a new one.
      - For O(state=aborted), O(state=paused) and O(state=resumed), act on the rollout with this id and no other one
        with the same name.
      - Required for O(state=released).
seealso:
  - module: ucm.capf.rollout_wave
  - module: ucm.capf.rollout_wait
  - module: ucm.capf.rollout_watch
  - module: ucm.capf.rollout_info
"""

EXAMPLES = r"""
- name: Begin a rollout for the phones of a file
  ucm.capf.rollout:
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
    name: night
    runner: run-1
    state: aborted

- name: Let another run resume it immediately
  ucm.capf.rollout:
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
    state: released

- name: Begin a rollout that the server runs
  ucm.capf.rollout:
    name: day
    runner: run-1
    phones:
      - SEP001122334466
    strategy: rolling
    in_flight: "100"

- name: Pause it
  ucm.capf.rollout:
    name: day
    runner: run-1
    state: paused
    reason: the WAN link to Berlin is down

- name: Resume it
  ucm.capf.rollout:
    name: day
    runner: run-1
    state: resumed
"""

RETURN = r"""
begun:
  description: Whether the task began a rollout, or would.
  returned: O(state=started)
  type: bool
resumed:
  description: Whether a running rollout was resumed.
  returned: O(state=started)
  type: bool
registered:
  description: Numbers of phones that were created, updated and left unchanged from O(csv_file).
  returned: O(state=started)
  type: dict
  sample: {created: 2, updated: 0, unchanged: 0}
plan:
  description:
    - The waves with their kind and device names, the skipped phones by reason, the start, and the latest end without
      retries; its C(lines) are for people.
    - For a resumed rollout, the plan contains its remaining waves, and all other phones are skipped with their status.
  returned: O(state=started)
  type: dict
  sample:
    waves: [{number: 1, kind: wave, phones: [SEP001122334455]}]
    skipped: {}
    warnings: []
    lines: ["1 phone needs an LSC, 0 skipped.", "1 wave: 1 phone."]
rollout:
  description:
    - The rollout with its id and numbers, as M(ucm.capf.rollout_info) shows it; null if no phone needs an LSC.
    - For O(state=aborted), O(state=paused) and O(state=resumed), the rollout that was aborted, paused or resumed.
    - C(paused_at) is the time at which it was paused, null if it is not, and C(pause) is the reason.
  returned: O(state=started), O(state=aborted), O(state=paused) or O(state=resumed)
  type: dict
  sample: {id: 1, name: night, state: running, paused_at: null, pause: ""}
summary:
  description:
    - The summary of the rollout, as M(ucm.capf.rollout_info) shows it, also if no phone needs an LSC.
  returned: O(state=started)
  type: dict
  sample: {name: night, state: nothing to do, succeeded: true, phones: 2, skipped: 2}
cancelled:
  description: Device names whose operation was cancelled, or would be.
  returned: O(state=aborted)
  type: list
  elements: str
  sample: [SEP001122334455]
in_session:
  description: Device names of the phones in a session, which they may finish; they are not retried.
  returned: O(state=aborted)
  type: list
  elements: str
  sample: []
message:
  description:
    - A sentence that says what was aborted, by whom and when, and what happened to its operations.
    - For O(state=paused) and O(state=resumed), a sentence that says what happens next.
  returned: O(state=aborted), O(state=paused) or O(state=resumed)
  type: str
  sample: "the rollout 'night' was aborted by admin at 2030-01-31T23:10:00+01:00: 2 operations cancelled"
code:
  description:
    - The server's error code. V(led_by_another) means that another run leads the rollout, and V(rollout_aborted) or
      V(rollout_stopped) that the rollout ended while the task waited for it.
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
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._lists import read
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, request_of
from ansible_collections.ucm.capf.plugins.module_utils._rollout_settings import ROLLOUT_SETTINGS

_SENT = (*ROLLOUT_SETTINGS, "before_window", "runner", "rollout_id")

_STATES = ["started", "aborted", "released", "paused", "resumed"]


def _body(module: AnsibleModule) -> dict[str, t.Any]:
    return dict({name: module.params[name] for name in _SENT}, dry_run=module.check_mode)


def _begin(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    params, body = module.params, _body(module)
    if params["register_phones"] and params["phones"] is not None:
        body["phones"] = [{"device_name": name} for name in params["phones"]]
        return client.send("PUT", path_of(params), body)
    if params["csv_file"] is None:
        body.update(names=params["phones"], criteria=params["criteria"])
        return client.send("PUT", path_of(params), body)
    rows = read(params["csv_file"]).warn(module)
    body["phones"] = rows.phones
    return rows.send(client, "PUT", path_of(params), body)


def _numbers(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the numbers that a diff shows for a plan."""
    if not answer["begun"]:
        return {}
    waves = answer["plan"]["waves"]
    return {"phones": sum(len(wave["phones"]) for wave in waves), "waves": len(waves)}


def _end(module: AnsibleModule, client: Client, action: str) -> dict[str, t.Any]:
    return client.send("POST", f"{path_of(module.params)}/{action}", request_of(module))


def _pause(module: AnsibleModule, client: Client, paused: bool) -> dict[str, t.Any]:
    params = module.params
    body: dict[str, t.Any] = {"rollout_id": params["rollout_id"], "dry_run": module.check_mode}
    if paused:
        body["reason"] = params["reason"]
    answer = client.send("POST", f"{path_of(params)}/{'pause' if paused else 'resume'}", body)
    before = paused is not answer["changed"]
    return dict(answer, diff=values_diff({"paused": before}, {"paused": paused}))


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    if module.params["state"] in ("paused", "resumed"):
        return _pause(module, client, module.params["state"] == "paused")
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
        state={"type": "str", "choices": _STATES, "default": "started"},
        reason={"type": "str", "default": ""},
        csv_file={"type": "path"},
        phones={"type": "list", "elements": "str"},
        register_phones={"type": "bool", "default": False},
        **criteria_options(),
        before_window={"type": "str", "choices": ["wait", "refuse"], "default": "wait"},
        wait_timeout={"type": "int", "default": 0},
        **ROLLOUT_SETTINGS,
    )
    rules: dict[str, t.Any] = {
        "mutually_exclusive": [("csv_file", "phones", "criteria")],
        "required_if": [
            ("state", "started", ("csv_file", "phones", "criteria"), True),
            ("state", "released", ("rollout_id",)),
        ],
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, **rules), work)


if __name__ == "__main__":
    main()
