#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_watch
short_description: Watch a rolling LSC rollout that the server runs
version_added: 0.1.0
description:
  - Waits until a rollout with the strategy V(rolling) has ended or is paused, and shows its progress. A rollout that is
    paused already is reported immediately.
  - It is the heartbeat of the run that leads the rollout. The server admits the first phone when the run watches the
    rollout for the first time. If nobody watches it for two minutes, the phones in flight end and no further one is
    admitted.
  - Fails if the rollout is aborted meanwhile, and reports who aborted it and when. It does not fail because of a pause
    or of failed phones.
  - Keeps watching if the server cannot be reached for a while, for example while the first node restarts.
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
    details: In check mode the module sends no heartbeat, returns the current state once and writes no file.
  diff_mode:
    support: none
    details: RV(string_files) names the files that were written; they contain secrets.
  idempotent:
    support: full
options:
  progress_interval:
    description: Seconds between two lines of progress, from 1 to 60.
    type: int
    default: 5
  outage_seconds:
    description: Maximum time in seconds for which the server may be unreachable.
    type: int
    default: 600
  since:
    description: RV(since) of an earlier task. If nothing has changed since, the first answer takes until something
      changes or O(progress_interval) is over.
    type: str
  strings_directory:
    description:
      - Directory on the host that runs the module. While phones wait for their authentication string, it contains a CSV
        file for each of their sites, with the phones that wait and their strings. The directory has to exist.
      - The files contain all phones of the server that wait for their string, also those of other operations.
      - Strings are secrets, so the files have mode 0600.
    type: path
seealso:
  - module: ucm.capf.rollout
  - module: ucm.capf.rollout_info
  - module: ucm.capf.rollout_wait
"""

EXAMPLES = r"""
- name: Watch the rollout until it has ended or is paused
  ucm.capf.rollout_watch:
    name: night
    runner: run-1
    rollout_id: "{{ begun.rollout.id }}"
    progress_interval: 2
  register: watched

- name: Show the failed phones
  ansible.builtin.debug:
    msg: "{{ watched.lines }}"
"""

RETURN = r"""
ended:
  description: Whether the rollout is no longer running.
  returned: success
  type: bool
state:
  description: State of the rollout, V(running), V(done), V(stopped) or V(aborted).
  returned: success
  type: str
  sample: running
paused:
  description: Whether the rollout is paused.
  returned: success
  type: bool
problem:
  description: Why the rollout is paused or was stopped; empty otherwise.
  returned: success
  type: str
  sample: 6 of the last 50 phones not done, 5 allowed
line:
  description: The progress in one line.
  returned: success
  type: str
  sample: in flight 12, done 230, failed 6, unreached 2, waiting 4750, 41.0 a minute
lines:
  description: The failed phones by cause, and what to do, for people. In check mode, the summary.
  returned: success
  type: list
  elements: str
  sample: ["1 failed: Upgrade Failed: Invalid Authentication String (a wrong string): SEP001122334455."]
counts:
  description: Number of phones in the rollout, and in each part of it; the parts add up to C(phones).
  returned: success
  type: dict
  sample: {phones: 40, waiting: 20, in_flight: 12, done: 7, failed: 1, unreached: 0, skipped: 0}
phones_a_minute:
  description: Number of phones that finished in the last minute.
  returned: success, except in check mode
  type: float
expected_end:
  description: When the rollout is expected to end; null while that is unknown.
  returned: success
  type: str
  sample: "2030-02-01T01:30:00+01:00"
waiting_for_string:
  description: Number of phones of the rollout whose authentication string was not entered yet.
  returned: success, except in check mode
  type: int
since:
  description: What the answer contains; see O(since).
  returned: success, except in check mode
  type: str
string_files:
  description: Paths of the files that were written into O(strings_directory).
  returned: success
  type: list
  elements: str
  sample: [rollout/strings/Berlin.csv]
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
from ansible_collections.ucm.capf.plugins.module_utils._rollout import path_of, query_of
from ansible_collections.ucm.capf.plugins.module_utils._strings import write_strings

_RUNNING = "running"


def _watch(params: dict[str, t.Any], client: Client) -> dict[str, t.Any]:
    """Send one heartbeat, and wait for one interval unless something changes."""
    seconds = params["progress_interval"]
    sent = {name: params[name] for name in ("runner", "rollout_id", "since")}
    return client.send("POST", path_of(params) + "/watch", dict(sent, timeout=seconds), extra_seconds=seconds)


def _look(params: dict[str, t.Any], client: Client) -> dict[str, t.Any]:
    """Return the rollout's state for check mode, without a heartbeat."""
    rollout = client.get(path_of(params) + query_of(params))
    return {
        "ended": rollout["state"] != _RUNNING,
        "state": rollout["state"],
        "paused": rollout["paused_at"] is not None,
        "problem": rollout["pause"] or rollout["problem"],
        "line": rollout["words"],
        "lines": rollout["summary"]["lines"],
        "counts": rollout["counts"],
        "expected_end": rollout.get("expected_end"),
    }


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    """Watch for one interval; the action plugin of the same name repeats it until the rollout ends or is paused."""
    params = module.params
    if module.check_mode:
        return dict(_look(params, client), changed=False, string_files=[])
    answer, files = _watch(params, client), []
    if answer["waiting_for_string"] and params["strings_directory"]:
        files = write_strings(module, client, params["strings_directory"])
    return dict(answer, changed=bool(files), string_files=files)


def main() -> None:
    options = dict(
        run_options(),
        progress_interval={"type": "int", "default": 5},
        outage_seconds={"type": "int", "default": 600},
        since={"type": "str"},
        strings_directory={"type": "path"},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
