# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_here
short_description: Make a path absolute, relative to the directory where the command was typed
version_added: 0.1.0
description:
  - Returns the absolute form of a path. A relative path is relative to the directory in which C(ansible-playbook) was
    started, wherever the playbook is, even if it is run by its full name from an installed collection. In AWX that is
    the directory of the project.
  - Expands C(~) and the control node's environment variables. Absolute and empty paths are returned unchanged.
  - The playbooks and roles of this collection apply it to every path on the control node.
author:
  - The ucm.capf founders (@ucm-capf)
positional: keys
options:
  _input:
    description: A path, a list of paths, or a list of dictionaries with paths under O(keys).
    type: raw
    required: true
  keys:
    description: The dictionary keys that hold paths.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Register all phones of a file, wherever this playbook is
  ucm.capf.phones:
    csv_file: "{{ phones_file | ucm.capf.from_here }}"

- name: Use your own security token
  ucm.capf.ctl_file:
    tokens: "{{ tokens | ucm.capf.from_here(['certificate_file', 'key_file']) }}"
"""

RETURN = r"""
_value:
  description: The input with absolute paths.
  type: raw
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.ucm.capf.plugins.module_utils._paths import absolute
from jinja2 import Undefined


def from_here(value: t.Any, keys: t.Sequence[str] = ()) -> t.Any:
    """Return the input with absolute paths: a path, a list of paths, or dictionaries with paths under C(keys)."""
    if value is None or isinstance(value, Undefined):
        return value
    if isinstance(value, str):
        return absolute(value) if value else value
    if isinstance(value, t.Mapping):
        return {key: from_here(item) if key in keys else item for key, item in value.items()}
    if isinstance(value, t.Sequence):
        return [from_here(item, keys) for item in value]
    raise AnsibleFilterError(f"from_here: {value!r} is refused; allowed: a path, or a list of paths")


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"from_here": from_here}
