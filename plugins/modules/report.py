#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write the CAPF report to a CSV file
version_added: 0.1.0
description:
  - Writes the CAPF report of all phones, or of those that match, as CSV that opens in a spreadsheet.
  - It shows authentication strings, which are secrets, so the file is written with mode 0600.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.selection.criteria
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows how many phones the report has, never its content.
  idempotent:
    support: full
options:
  dest:
    description: The file to write, on the host that runs the module.
    type: path
    required: true
  authentication_strings:
    description: Whether the report shows the authentication strings.
    type: str
    choices: [show, hide]
    default: show
"""

EXAMPLES = r"""
- name: Write the report of all phones
  ucm.capf.report:
    administrator: admin
    password: "{{ capf_password }}"
    dest: capf-report.csv

- name: Write the strings of Berlin for the people on site
  ucm.capf.report:
    administrator: admin
    password: "{{ capf_password }}"
    dest: berlin.csv
    criteria:
      - field: device_pool
        value: Berlin
      - field: authentication_string
        pattern: is not empty
"""

RETURN = r"""
dest:
  description: The file.
  returned: success
  type: str
phones:
  description: How many phones the report has.
  returned: success
  type: int
"""

import csv
import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, criteria_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff

_MODE = 0o600


def _present(path: str) -> tuple[str, int]:
    """Return the file's text and mode; nothing where there is none."""
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            return handle.read(), os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return "", _MODE


def _phones(text: str) -> int:
    return max(0, sum(1 for row in csv.reader(text.splitlines(keepends=True))) - 1)


def _write(module: AnsibleModule, path: str, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as handle:
        handle.write(text)
    os.chmod(temporary, _MODE)
    module.atomic_move(temporary, path)
    os.chmod(path, _MODE)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    path = os.path.abspath(module.params["dest"])
    strings = module.params["authentication_strings"] == "show"
    text = client.text("/reports/capf", {"criteria": module.params["criteria"], "authentication_strings": strings})
    before, mode = _present(path)
    changed = before != text or mode != _MODE
    if changed and not module.check_mode:
        try:
            _write(module, path, text)
        except OSError as error:
            module.fail_json(msg="dest: {0!r} cannot be written: {1}".format(path, error.strerror))
    diff = values_diff({"phones": _phones(before)}, {"phones": _phones(text)})
    return {"changed": changed, "dest": path, "phones": _phones(text), "diff": diff}


def main() -> None:
    options = dict(
        criteria_options(),
        dest={"type": "path", "required": True},
        authentication_strings={"type": "str", "choices": ["show", "hide"], "default": "show", "no_log": False},
    )
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
