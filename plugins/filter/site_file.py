# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: site_file
short_description: Name the file of a site's authentication strings
version_added: 0.1.0
description:
  - Returns the name of the CSV file that has the authentication strings of a site. Characters that file names should
    not have are replaced. Sites whose names differ only in such characters have separate files.
  - The role P(ucm.capf.lsc_rollout#role) and the module M(ucm.capf.rollout_watch) name their files in the same way.
author:
  - The ucm.capf founders (@ucm-capf)
options:
  _input:
    description: Name of the site; empty for phones without a site.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the file of a site
  ansible.builtin.debug:
    msg: "{{ 'Floor 1' | ucm.capf.site_file }}"
"""

RETURN = r"""
_value:
  description: The name of the file, such as V(Berlin.csv) or V(no-site.csv).
  type: str
"""

import typing as t

from ansible_collections.ucm.capf.plugins.module_utils._strings import file_of


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"site_file": file_of}
