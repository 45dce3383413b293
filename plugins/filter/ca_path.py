# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ca_path
short_description: Find the certificate that a playbook trusts, from a variable or the environment
version_added: 0.1.0
description:
  - Returns the input, or the environment variable E(CAPF_CA_PATH) of the control node if the input is null, as an
    absolute path. A relative path is relative to the directory where the command was typed, as for
    P(ucm.capf.from_here#filter).
  - Returns an empty string if neither is set; the modules then trust the certificates that the system trusts.
  - The playbooks of this collection use it, because a module itself would resolve a relative path against the directory
    of the playbook.
author:
  - The ucm.capf founders (@ucm-capf)
options:
  _input:
    description: Path of a PEM file, or null.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Set the connection once for all modules of the collection
  module_defaults:
    group/ucm.capf.capf:
      host: node1.example.com
      ca_path: "{{ capf_ca_path | default(none) | ucm.capf.ca_path or omit }}"
  block:
    - name: Get the state of CAPF
      ucm.capf.capf_service_info:
"""

RETURN = r"""
_value:
  description: The absolute path, or an empty string.
  type: str
"""

import os
import typing as t

from ansible_collections.ucm.capf.plugins.filter.from_here import from_here


def ca_path(value: t.Any) -> t.Any:
    """Return the path, or that of the environment for None, as an absolute path; empty if neither is set."""
    return from_here(os.environ.get("CAPF_CA_PATH", "") if value is None else value)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"ca_path": ca_path}
